"""What a visitor sends, and what comes back."""

import pytest

from comem_hf.app.comparison import Answer, Comparison
from comem_hf.app.results import EMPTY
from comem_hf.app.visitor import MAX_QUESTION_CHARACTERS, ask, check_picture, read_min_score, read_question
from tests.conftest import make_image


@pytest.fixture
def picture(tmp_path):
    make_image().save(tmp_path / "a.png")
    return {"path": str(tmp_path / "a.png")}


@pytest.mark.parametrize(
    "question, sentence",
    [
        (None, "Type a question first"),
        ({"a": "What?"}, "Type a question first"),
        ("", "Type a question first"),
        (" \n\t", "Type a question first"),
        ("x" * (MAX_QUESTION_CHARACTERS + 1), "501 characters; at most 500"),
        ("why " * 5000, "19,999 characters; at most 500"),
    ],
)
def test_a_question_of_no_use_is_refused_in_a_sentence(question, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_question(question)


def test_spaces_around_and_within_a_question_do_not_matter():
    assert read_question("  What \n is it? ") == "What is it?"
    assert read_question("x" * MAX_QUESTION_CHARACTERS) == "x" * MAX_QUESTION_CHARACTERS


def test_a_question_needs_no_picture_but_one_of_the_two_must_be_there(tmp_path):
    class Asked:
        def compare(self, picture, question):
            return Comparison(question, Answer(f"{picture}", 9, 0.1), None, [], 9)

    message, answers = ask(Asked(), None, "What?", tmp_path)
    assert message == "" and ">None<" in answers
    for picture, question in ((None, " "), (None, None), ({"path": None}, "What?"), ("/etc/passwd", "What?")):
        message, answers = ask(Asked(), picture, question, tmp_path)
        assert "Choose an example or upload a picture first." in message and answers == EMPTY


def test_what_fails_inside_is_logged_and_not_told(picture, tmp_path, monkeypatch):
    class Broken:
        def compare(self, picture, question):
            raise ValueError("'/secret/place/items-00000.parquet' is damaged.")

    logged = []
    monkeypatch.setattr("comem_hf.app.visitor.logger.exception", logged.append)
    message, answers = ask(Broken(), picture, "What?", tmp_path)
    assert "The question could not be answered" in message and "secret" not in message
    assert answers == EMPTY
    assert len(logged) == 1


def test_a_good_picture_needs_no_message(picture, tmp_path):
    assert check_picture(picture, tmp_path) == ""
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert "This file is no picture" in check_picture(picture, tmp_path)


@pytest.mark.parametrize(
    "sent, used", [(None, {}), (0, {}), (0.0, {}), (0.5, {"min_score": 0.5}), (1, {"min_score": 1})]
)
def test_the_least_probability_is_used_unless_it_is_0(sent, used):
    assert read_min_score(sent) == used


@pytest.mark.parametrize("sent", [-0.1, 1.5, "0.5", True, [0.5], float("nan"), {"a": 1}])
def test_a_least_probability_that_is_none_is_refused_in_a_sentence(sent, picture, tmp_path):
    message, answers = ask(None, picture, "What?", tmp_path, sent)
    assert "The least probability must be a number from 0 to 1." in message and answers == EMPTY
