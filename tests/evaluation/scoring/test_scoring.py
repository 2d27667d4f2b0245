from pathlib import Path

import pytest

from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.evaluation.scoring import check_number, extract_answer, score_set, scorers_of


GOLDEN = Path(__file__).parents[2] / "golden/benchmarks/scorers"
TEN = ["dog"] * 4 + ["cat"] * 6
# A benchmark, a reference, a text as a model writes it, and what both scorers give.
CASES = [
    ("okvqa", {"answers": TEN, "question_type": "one"}, r"So: \boxed{Dog}", (1, 1)),
    ("okvqa", {"answers": TEN, "question_type": "one"}, "Final answer: the dog.", (1, 1)),
    ("aokvqa", {"direct_answers": str(TEN), "difficult_direct_answer": False}, r"\boxed{dog}", (1, 1)),
    ("aokvqa", {"direct_answers": TEN, "difficult_direct_answer": False}, r"\boxed{Dog}", (0, 1)),
    ("viquae", {"answer": ["The London Eye", "Eye"]}, r"Final answer: \boxed{London Eye}", (1, 0)),
    ("viquae", {"answer": ["paella"]}, r"\boxed{Paella}", (1, 1)),
    ("infoseek", {"answer_eval": ["Paris"], "question_type": "String"}, r"\boxed{Tennis}", (0, 1)),
    ("infoseek", {"answer_eval": ["1990"], "question_type": "Time"}, r"\boxed{19}", (0, 1)),
    ("infoseek_multilingual", {"answer_eval": ["Лондон"], "question_type": "String"}, "Ответ: лондон", (0, 1)),
    ("infoseek_multilingual", {"answer_eval": ["伦敦"], "question_type": "String"}, "最终答案：伦敦", (1, 0)),
    (
        "infoseek",
        {"answer_eval": [{"wikidata": 100, "range": [90, 110]}], "question_type": "Numerical"},
        r"\boxed{95-120}",
        (1, 1),
    ),
    ("mrag", {"answer_choice": "B", "scenario": "Angle"}, "Because of that, I take\nFinal answer: (b)", (1, 1)),
    ("mrag", {"answer_choice": "A", "scenario": "Angle"}, "According to all, B", (0, 1)),
    ("mrag", {"answer_choice": "B", "scenario": "Angle"}, r"\boxed{Grey Gull}", (1, 1)),
    ("mrag", {"answer_choice": "B", "scenario": "Angle"}, "It cannot be told from here at all", (0, 0)),
    ("cvqa", {"Options": ["Ash Tern", "Grey Gull"], "Label": 1, "Subset": "x"}, r"\boxed{2}", (1, 1)),
    ("cvqa", {"Options": ["Ash Tern", "Grey Gull"], "Label": 1, "Subset": "x"}, "Respuesta final: 2", (1, 0)),
    ("cvqa", {"Options": ["Ash Tern", "Grey Gull"], "Label": 1, "Subset": "x"}, r"\boxed{B}", (1, 0)),
    ("oven", {"entity_id": "Q900000", "entity_text": "x"}, r"\boxed{golden gate bridge}", (1, 1)),
    ("oven", {"entity_id": "Q901369", "entity_text": "x"}, r"\boxed{Paris}", (1, 0)),
]


def scorers(name: str):
    titles = GOLDEN / "oven_corpus.jsonl" if name == "oven" else None
    official, *_, release = scorers_of(
        Benchmark(name, "en", (), titles=titles), vocabulary=GOLDEN / "bert_base_uncased_vocab.txt"
    )
    return official, release


@pytest.mark.parametrize(("name", "reference", "text", "scores"), CASES)
def test_both_scorers_score_what_a_model_wrote(asked, name, reference, text, scores):
    official, release = scorers(name)
    question = asked(options=("Ash Tern", "Grey Gull", "River Owl", "Sand Crake"), **reference)
    assert [official.name, official.extracts, release.name, release.extracts] == ["official", False, "release", True]
    assert (official.score(extract_answer(text), question), release.score(text, question)) == scores


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_a_question_without_a_reference_is_named(asked, name):
    for scorer in scorers(name):
        with pytest.raises(ValueError, match="'q7' has no reference"):
            scorer.score("x", asked("q7"))


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES} - {"infoseek"}))
def test_an_empty_prediction_is_wrong(asked, name):
    reference = next(reference for other, reference, *_ in CASES if other == name)
    for scorer in scorers(name):
        assert scorer.score("", asked(**reference)) == 0


def test_an_empty_prediction_may_be_right_by_quirks_and_no_prediction_never_is(asked):
    official, release = scorers("infoseek")
    question = asked(split="val_unseen_question", answer_eval=["Paris"], question_type="String")
    assert release.score("", question) == 1  # the release's normalizer empties "Paris"
    entity = asked(split="val_unseen_entity", answer_eval=["Paris"], question_type="String")
    assert score_set(release, [(None, question), ("", entity)]).items == (0, 1)


def test_a_set_without_questions_has_no_number():
    for scorer in scorers("viquae"):
        with pytest.raises(ValueError, match="no question left"):
            score_set(scorer, [])


def test_viquaes_own_evaluator_gives_f1_beside_the_exact_match(asked):
    found = [(scorer.name, scorer.metric) for scorer in scorers_of(Benchmark("viquae", "en", ()))]
    assert found == [("official", "exact match"), ("official", "F1"), ("release", "exact match")]
    f1 = scorers_of(Benchmark("viquae", "en", ()))[1]
    assert f1.score("london", asked(answer=["London Bridge"])) == pytest.approx(2 / 3)


def test_multiple_choice_is_a_setting_of_aokvqa_alone(asked):
    (scorer,) = scorers_of(Benchmark("aokvqa", "en", ()), multiple_choice=True)
    assert (scorer.metric, scorer.score("b", asked(choices=["x", "y"], correct_choice_idx=1))) == (
        "multiple choice accuracy",
        1,
    )
    with pytest.raises(ValueError, match="multiple-choice setting is of 'aokvqa', not of 'okvqa'"):
        scorers_of(Benchmark("okvqa", "en", ()), multiple_choice=True)


def test_questions_that_are_all_left_out_give_no_number(asked):
    hard = Benchmark("aokvqa", "en", (asked(direct_answers=["x"], difficult_direct_answer=True),))
    official, release = scorers("aokvqa")
    check_number(release, hard)
    with pytest.raises(ValueError, match=r"leaves out all questions of aokvqa \(en\) that were read \(1\): raise"):
        check_number(official, hard)
    with pytest.raises(ValueError, match="no question left to score"):
        official.headline({})


def test_questions_of_one_half_give_no_number(asked):
    half = Benchmark("infoseek", "en", (asked(split="val_unseen_entity", answer_eval=["x"], question_type="String"),))
    with pytest.raises(ValueError, match=r"infoseek \(en\) that were read give no number: .* no unseen_question"):
        check_number(scorers("infoseek")[0], half)


def test_an_unknown_benchmark_and_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="no benchmark 'gqa'; known are aokvqa, cvqa"):
        scorers("gqa")
    with pytest.raises(ValueError, match="vocab.txt of bert-base-uncased"):
        scorers_of(Benchmark("oven", "en", (), titles=tmp_path))
    with pytest.raises(ValueError, match="no file .*nowhere.*titles"):
        scorers_of(Benchmark("oven", "en", (), titles=tmp_path / "nowhere"), vocabulary=tmp_path)
