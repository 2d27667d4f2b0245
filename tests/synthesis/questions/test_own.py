import pytest

from comem_hf.synthesis.questions.own import read_own


def test_rows_say_what_they_are_about_and_whether_the_answer_is_known(bank, write_questions, tmp_path):
    rows = [
        {"item_id": "item-2", "question": "What?", "answer": "two", "kind": "name"},
        {"image": "a.png", "question": "And?", "answers": ["one", "1"], "entity": "one", "id": "x", "language": "es"},
        {"image": "a.png", "question": "Why?"},
    ]
    first, second, third = read_own(write_questions(rows), "own", bank)
    assert (first.id, first.entity, first.item_id, first.answer, first.origin) == (
        *("own/1", "item-2", "item-2", "two", "verified"),
    )
    assert first.question.picture.startswith(b"\x89PNG") and first.question.kind == "name"
    assert (second.id, second.entity, second.question.language) == ("own/x", "one", "es")
    assert second.question.reference == {"answers": ("one", "1")} and second.question.picture == tmp_path / "a.png"
    assert (third.origin, third.entity, third.answer) == ("teacher", "", None)


@pytest.mark.parametrize(
    "row, message",
    [
        ({"question": "What?", "imge": "a.png"}, "'imge' is no key of a question: did you mean 'image'?"),
        ({"question": " ", "image": "a.png"}, "`question` is missing or empty."),
        ({"question": "What?"}, "give `image`, or `item_id`"),
        ({"question": "What?", "item_id": "item-99"}, "`item_id` 'item-99' is no item of the bank."),
        ({"question": "What?", "image": "a.png", "answer": ""}, "must be a text that is not empty, got ''"),
        ({"question": "What?", "image": "a.png", "answers": "one"}, "`answers` must be a list of texts, got 'one'"),
        ({"question": "What?", "image": 3}, "`image` must be a text, got 3"),
        ({"question": "What?", "image": "a.png", "language": "English"}, "must be an ISO 639 code"),
        ([], "must be an object, got list"),
        ({"question": "What?", "image": "a.png", "id": "same"}, "the `id` 'same' comes twice"),
    ],
)
def test_a_row_that_is_no_question_is_refused_with_its_line(bank, write_questions, row, message):
    path = write_questions([{"question": "What?", "image": "a.png", "id": "same"}, row])
    with pytest.raises(ValueError) as error:
        read_own(path, "own", bank)
    assert message in str(error.value) and "Line 2 of" in str(error.value)
