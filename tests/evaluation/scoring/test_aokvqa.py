import pytest

from comem_hf.evaluation.scoring import aokvqa, score_set


CHOICES = {"choices": ["train", "cab", "bus", "van"], "correct_choice_idx": 1}


@pytest.mark.parametrize(("text", "score"), {"B": 1, "(b)": 1, "2": 1, "Cab.": 1, "cab": 1, "A": 0, "taxi": 0}.items())
def test_letters_numbers_and_texts_choose(asked, text, score):
    assert aokvqa.MULTIPLE_CHOICE.score(text, asked(**CHOICES)) == score


def test_difficult_questions_count_for_all_but_official_direct_answers(asked):
    hard = asked("hard", direct_answers=["x"], difficult_direct_answer=True, **CHOICES)
    easy = asked("easy", direct_answers=["cab"] * 3, difficult_direct_answer=False, **CHOICES)
    answered = [("cab", hard), ("cab", easy)]
    assert score_set(aokvqa.OFFICIAL, answered).score == 100
    assert score_set(aokvqa.RELEASE, answered).score == 50
    assert score_set(aokvqa.MULTIPLE_CHOICE, answered).score == 100


@pytest.mark.parametrize("broken", ["['cab'", "cab", "5"])
def test_references_that_are_no_list_are_refused(broken):
    with pytest.raises(ValueError, match="`direct_answers` must be a list"):
        aokvqa.direct_answers_of(broken)
