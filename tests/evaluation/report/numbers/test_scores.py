import dataclasses

import numpy as np
import pytest

from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.evaluation.report.numbers.scores import LEFT_OUT, score_answers
from tests.evaluation.report.conftest import OFFICIAL, RELEASE, answers, extract, question


def test_a_scorer_that_does_not_extract_gets_what_is_found_and_problems_count_wrong(result):
    scores = score_answers(result.benchmark, result.answers[0], OFFICIAL, extract)
    assert scores.values.tolist() == [1, 0, 1, 0, 0, 0]
    assert scores.groups.names == ("old", "new")
    assert scores.means == {"old": 0.5, "new": 0.25}
    assert scores.headline == 33.33
    assert scores.unextractable == 1


def test_a_scorer_that_extracts_gets_the_whole_text_and_leaves_questions_out(result):
    scores = score_answers(result.benchmark, result.answers[0], RELEASE, extract)
    assert scores.values.tolist() == [1, 0.25, 1, 0, 0.25, 0]
    assert scores.groups.members.tolist() == [0, 0, 0, 0, 0, LEFT_OUT]
    assert scores.headline == 50.0
    assert scores.unextractable is None


def test_what_is_left_out_or_was_not_asked_is_not_scored(result):
    scored = []
    scorer = dataclasses.replace(RELEASE, score=lambda text, question: scored.append(question.id) or 1.0)
    scores = score_answers(result.benchmark, result.answers[0], scorer, extract)
    assert scored == ["q0", "q1", "q2", "q4"] and scores.values.tolist() == [1, 1, 1, 0, 1, 0]


def test_a_group_without_a_right_answer_is_the_scorers_affair(result):
    wrong = dataclasses.replace(result.answers[0], predictions=result.answers[0].predictions[::-1])
    assert score_answers(result.benchmark, wrong, OFFICIAL, extract).headline == 0


def test_means_are_plain_sums_as_the_evaluators_make_them():
    questions = tuple(question(number) for number in range(1000))
    scorer = dataclasses.replace(RELEASE, score=lambda text, question: 0.3, group=lambda question: "all")
    benchmark = Benchmark("made_up", "en", questions)
    scores = score_answers(benchmark, answers("RAG", 1, "r" * 1000), scorer, extract)
    assert scores.means["all"] == sum([0.3] * 1000) / 1000 != np.mean([0.3] * 1000)


def test_a_test_split_can_be_answered_not_scored(result):
    questions = (*result.benchmark.questions[:5], question(5, reference=None))
    benchmark = dataclasses.replace(result.benchmark, questions=questions)
    with pytest.raises(
        ValueError, match=r"made_up \(en\) can be answered, not scored: question 'q5' has no reference"
    ):
        score_answers(benchmark, result.answers[0], OFFICIAL, extract)


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan")])
def test_a_score_outside_0_to_1_is_refused(result, value):
    scorer = dataclasses.replace(OFFICIAL, score=lambda text, question: value)
    with pytest.raises(ValueError, match="'official' .accuracy. must give scores from 0 to 1, got .* question 'q0'"):
        score_answers(result.benchmark, result.answers[0], scorer, extract)


def test_a_scorer_that_leaves_out_everything_is_refused(result):
    scorer = dataclasses.replace(OFFICIAL, group=lambda question: None)
    with pytest.raises(ValueError, match="'official' .accuracy. leaves out all questions of made_up"):
        score_answers(result.benchmark, result.answers[0], scorer, extract)
