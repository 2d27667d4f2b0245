import pytest

from comem_hf.evaluation.scoring.sets.answered import answered_questions, reference_of


def test_missing_and_unknown_ids_are_refused_or_left_out(asked):
    questions = [asked(name, answer=["x"]) for name in "abcde"]
    with pytest.raises(ValueError, match="no prediction for 4 of the questions: b, c, d and 1 more"):
        answered_questions([("a", "x")], questions, missing="refuse", unknown="refuse")
    with pytest.raises(ValueError, match="questions that the benchmark lacks: z"):
        answered_questions([("z", "x")], questions, missing="skip", unknown="refuse")
    pairs = [("a", "1"), ("z", "x"), ("a", "2")]
    by_line = answered_questions(pairs, questions, missing="skip", unknown="skip")
    assert [(text, question.id) for text, question in by_line] == [("1", "a"), ("2", "a")]
    by_question = answered_questions(pairs, questions, missing="wrong", unknown="skip")
    assert [(text, question.id) for text, question in by_question][:2] == [("2", "a"), (None, "b")]


def test_a_lacking_part_of_a_reference_is_named(asked):
    assert reference_of(asked(answer=["x"], other=1), "other", "answer") == (1, ["x"])
    with pytest.raises(ValueError, match="question 'q' has no `answer_eval`"):
        reference_of(asked(answer=["x"]), "answer_eval")
