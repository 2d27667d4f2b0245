import dataclasses

import pytest

from comem_hf.evaluation.report.result import BenchmarkResult
from tests.evaluation.report.conftest import OFFICIAL, answers


def test_answers_must_be_those_to_the_questions_in_their_order(result):
    first, *others = result.answers[0].predictions
    swapped = dataclasses.replace(result.answers[0], predictions=(*others, first))
    with pytest.raises(ValueError, match="the id of answer 1 is 'q1', that of question 1 is 'q0'"):
        BenchmarkResult(result.benchmark, result.scorers, (swapped,))
    with pytest.raises(ValueError, match=r"'memory, k = 3' to made_up \(en\) are 2, but it has 6 questions"):
        BenchmarkResult(result.benchmark, result.scorers, (answers("memory", 3, "rr"),))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"answers": ()}, "needs answers, got none"),
        (
            {"answers": (answers("RAG", 1, "rrrrrr"), answers("RAG", 1, "wwwwww"))},
            "each way once, got 'RAG, k = 1' twice",
        ),
        ({"scorers": (OFFICIAL, OFFICIAL)}, "each scorer once, got .'official', 'accuracy'. twice"),
    ],
)
def test_what_is_missing_or_there_twice_is_named(result, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(result, **changes)


def test_what_differs_from_run_to_run_is_not_recorded(settings):
    assert "run" not in settings.record() and settings.record()["protocol"] == "release"
