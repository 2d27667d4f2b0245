import pytest

from comem_hf.evaluation.scoring import infoseek


def test_the_number_is_the_harmonic_mean_of_the_rounded_halves():
    assert infoseek.final_score({"unseen_question": 1.0, "unseen_entity": 0.5}) == 66.67
    assert infoseek.final_score({"unseen_question": 1.0}) == 0


@pytest.mark.parametrize("scorer", [infoseek.OFFICIAL, infoseek.RELEASE])
def test_a_predictions_file_goes_by_its_lines(asked, scorer):
    reference = {"answer_eval": ["London"], "question_type": "String"}
    questions = [asked(split, split=split, **reference) for split in ("val_unseen_question", "val_unseen_entity", "x")]
    pairs = [
        ("val_unseen_question", "london"),
        ("val_unseen_entity", "london"),
        ("val_unseen_entity", "rome"),
        ("y", ""),
    ]
    scores = infoseek.predictions_set(scorer, pairs, questions)
    assert (scores.score, scores.groups) == (66.67, {"unseen_question": 1.0, "unseen_entity": 0.5})
    assert infoseek.predictions_set(scorer, [], questions).score == 0


@pytest.mark.parametrize("answer_eval", [[], {}, [{"wikidata": 1}], [{"range": [1]}], [{"range": ["a", 2]}], None])
def test_a_number_without_a_range_is_refused(answer_eval):
    for score in (infoseek.official_score, infoseek.release_score):
        with pytest.raises(ValueError, match="needs a `range` of two"):
            score("5", answer_eval, "Numerical")
