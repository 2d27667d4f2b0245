import pytest

from comem_hf.evaluation.scoring import infoseek, score_set


def test_the_number_is_the_harmonic_mean_of_the_rounded_halves():
    assert infoseek.final_score({"unseen_question": 1.0, "unseen_entity": 0.5}) == 66.67
    assert infoseek.final_score({"unseen_question": 1.0}) == 0  # as the evaluator has it


@pytest.mark.parametrize("scorer", [infoseek.OFFICIAL, infoseek.RELEASE])
@pytest.mark.parametrize(
    "splits, lacking",
    [(["val_unseen_question"], "unseen_entity"), (["train", "val_unseen_entity"], "unseen_question")],
)
def test_a_half_without_questions_is_refused_and_no_score_of_zero(asked, scorer, splits, lacking):
    reference = {"answer_eval": ["London"], "question_type": "String"}
    answered = [("london", asked(split, split=split, **reference)) for split in splits]
    with pytest.raises(ValueError, match=f"unseen questions and unseen entities; there is no {lacking}"):
        score_set(scorer, answered)
    answered.append(("london", asked("other", split=f"val_{lacking}", **reference)))
    assert score_set(scorer, answered).score == 100


@pytest.mark.parametrize("answer_eval", [[], {}, [{"wikidata": 1}], [{"range": [1]}], [{"range": ["a", 2]}], None])
def test_a_number_without_a_range_is_refused(answer_eval):
    for score in (infoseek.official_score, infoseek.release_score):
        with pytest.raises(ValueError, match="needs a `range` of two"):
            score("5", answer_eval, "Numerical")
