"""`comem ask`."""

import PIL.Image
import pytest


def test_ask_prints_both_answers_the_hits_and_the_times(comem, default, picture):
    code, output, error = comem("ask", "--image", picture, "What is it?", "--max-new-tokens", 5)
    assert (code, error) == (0, "")
    lines = [line.split("\t") for line in output.splitlines()]
    answers = {line[1]: line[2] for line in lines if line[0] == "answer"}
    assert set(answers) == {"without memory", "with memory"}
    assert answers["without memory"] != answers["with memory"]
    hits = [line[1:] for line in lines if line[0] == "memory"]
    assert [hit[0] for hit in hits] == ["1", "2", "3"]
    assert hits[0][2:] == ["item-2", "Fact 2."]
    steps = [line[1] for line in lines if line[0] == "time"]
    assert steps == [
        "load the model",
        "open the bank",
        "retrieve",
        "answer without memory",
        "answer with memory",
        "total",
    ]


def test_ask_uses_the_model_and_bank_it_is_told_to(comem, model_folder, bank_folder, picture):
    arguments = ["ask", "--image", picture, "What?", "--model", model_folder, "--bank", bank_folder, "--top-k", 1]
    code, output, _ = comem(*arguments, "--max-new-tokens", 2)
    assert code == 0
    assert [line.split("\t")[3] for line in output.splitlines() if line.startswith("memory\t")] == ["item-2"]


def test_ask_draws_tables_on_a_terminal(comem, default, picture, monkeypatch):
    monkeypatch.setattr("comem_hf.commands.output.on_terminal", lambda: True)
    code, output, _ = comem("ask", "--image", picture, "What is [bold]?", "--max-new-tokens", 2)
    assert code == 0
    assert "│" in output and "What is [bold]?" in output and "item-2" in output


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(comem, default, picture, question):
    assert comem("ask", "--image", picture, question) == (2, "", "Error: The question is empty.\n")


def test_a_missing_picture_is_refused_by_name(comem, default):
    assert comem("ask", "--image", "nowhere.png", "What?") == (2, "", "Error: 'nowhere.png' does not exist.\n")


def test_an_unreadable_picture_is_refused_by_name(comem, default, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    code, output, error = comem("ask", "--image", tmp_path / "broken.png", "What?")
    assert (code, output) == (2, "")
    assert "broken.png' is not a readable picture" in error and error.count("\n") == 1


def test_a_decompression_bomb_is_refused(comem, default, picture, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1000)
    code, output, error = comem("ask", "--image", picture, "What?")
    assert (code, output) == (2, "")
    assert "picture.png' is too large to be opened safely" in error


def test_a_bank_of_another_model_is_refused(comem, bank_folder, picture, tiny_processor, tmp_path):
    from tests.conftest import make_model

    make_model(seed=5).save_pretrained(tmp_path / "other")
    tiny_processor.save_pretrained(tmp_path / "other")
    code, _, error = comem("ask", "--image", picture, "What?", "--model", tmp_path / "other", "--bank", bank_folder)
    assert code == 2
    assert "was made by the memory encoder" in error and "but this model's is" in error


def test_a_folder_that_is_no_model_is_refused(comem, bank_folder, picture, tmp_path):
    code, _, error = comem("ask", "--image", picture, "What?", "--model", tmp_path, "--bank", bank_folder)
    assert code == 2
    assert error.endswith("is no model: it has no config.json.\n")
