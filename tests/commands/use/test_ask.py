"""`comem ask`."""

import io
import json
import os
import pty
import shutil
import subprocess
import sys

import PIL.Image
import pytest

from comem_hf import MemoryBank
from comem_hf.answering import WITHOUT_BANK, WITHOUT_ENCODER, WITHOUT_WORDS
from comem_hf.default import default_path
from comem_hf.modeling.explanation_comem import LEAST_INFLUENCE
from tests.conftest import make_image


def test_ask_prints_both_answers_the_hits_and_the_times(comem, default, picture):
    code, output, error = comem("ask", "--image", picture, "What is it?", "--max-new-tokens", 5)
    assert (code, error) == (0, "")
    lines = [line.split("\t") for line in output.splitlines()]
    answers = {line[1]: line[2] for line in lines if line[0] == "answer"}
    assert set(answers) == {"without memory", "with memory"}
    assert answers["without memory"] != answers["with memory"]
    hits = [line[1:] for line in lines if line[0] == "memory"]
    assert [hit[0] for hit in hits] == ["1", "2", "3"]
    assert hits[0][3:] == ["item-2", "2.png", "Fact 2."]
    steps = [line[1] for line in lines if line[0] == "time"]
    assert steps == [
        "load the model",
        "open the bank",
        "retrieve",
        "answer without memory",
        "answer with memory",
        "total",
    ]


def test_explained_hits_have_shares_by_leaving_them_out(comem, default, picture, monkeypatch):
    arguments = ["--image", picture, "--max-new-tokens", 5]
    plain = json.loads(comem("ask", "What is it?", *arguments, "--json")[1])
    code, output, error = comem("ask", "What is it?", *arguments, "--json", "--explain")
    found = json.loads(output)
    assert (code, error, list(found["seconds"])[-1]) == (0, "", "explain")
    influences = [hit.pop("influence") for hit in found["memory"]]
    shares = [hit.pop("share") for hit in found["memory"]]
    assert found.pop("seconds") and plain.pop("seconds") and found == plain
    positive = [max(influence, 0) if influence > LEAST_INFLUENCE else 0 for influence in influences]
    assert shares == pytest.approx([share / sum(positive) for share in positive]) and sum(shares) == pytest.approx(1)
    monkeypatch.setattr("sys.stdin", io.StringIO("What is it?\nOne?\n"))
    code, output, error = comem("ask", *arguments, "--explain")
    lines = [line.split("\t") for line in output.splitlines()]
    assert [line[0] for line in lines] == 2 * ([*["answer"] * 3, *["memory"] * 3])  # each question has its own shares
    assert [line[6] for line in lines[3:6]] == [f"{share:.0%}" for share in shares]
    assert [line[4::3] for line in lines[3:6]] == [[hit["id"], hit["text"]] for hit in found["memory"]]


def test_without_items_there_is_nothing_to_explain(comem, default, monkeypatch):
    code, output, error = comem("ask", "What is it?", "--max-new-tokens", 5, "--explain")
    assert (code, error) == (0, f"{WITHOUT_WORDS}\n") and "\nmemory\t" not in output and "explain" not in output


def test_ask_uses_the_model_and_bank_it_is_told_to(comem, model_folder, bank_folder, picture):
    arguments = ["ask", "--image", picture, "What?", "--model", model_folder, "--bank", bank_folder, "--top-k", 1]
    code, output, _ = comem(*arguments, "--max-new-tokens", 2)
    assert code == 0
    assert [line.split("\t")[4] for line in output.splitlines() if line.startswith("memory\t")] == ["item-2"]
    code, output, _ = comem(*arguments, "--max-new-tokens", 2, "--where", "source=test", "--where", "source=other")
    assert code == 0 and "\nmemory\t1\t" in output
    code, output, _ = comem(*arguments, "--max-new-tokens", 2, "--where", "source!=test")
    assert code == 0 and "answer\twithout memory" in output and "\nmemory\t" not in output
    assert comem(*arguments, "--where", "sauce=test")[2].startswith("Error: No item has the metadata field 'sauce'")


def test_ask_draws_tables_on_a_terminal(comem, default, picture, monkeypatch):
    monkeypatch.setattr("comem_hf.commands.common.output.on_terminal", lambda: True)
    code, output, _ = comem("ask", "--image", picture, "What is [bold]?", "--max-new-tokens", 2)
    assert code == 0
    assert "│" in output and "What is [bold]?" in output and "item-2" in output


def test_a_question_without_a_picture_or_a_known_word_is_answered_without_the_bank(comem, default, monkeypatch):
    code, output, error = comem("ask", "What is it?", "--max-new-tokens", 5)
    assert (code, error) == (0, f"{WITHOUT_WORDS}\n")
    lines = [line.split("\t") for line in output.splitlines()]
    assert [line[1] for line in lines if line[0] == "answer"] == ["without memory"]
    assert not any(line[0] == "memory" for line in lines)
    code, output, error = comem("ask", "What is it?", "--max-new-tokens", 5, "--json")
    found = json.loads(output)
    assert found["without_memory"] == lines[0][2] and found["with_memory"] is None and found["memory"] == []
    monkeypatch.setattr("sys.stdin", io.StringIO("One?\nTwo?\n"))
    code, output, error = comem("ask", "--max-new-tokens", 2)
    assert (code, error) == (0, 2 * f"{WITHOUT_WORDS}\n") and output.count("answer\twithout memory") == 2
    monkeypatch.setattr(MemoryBank, "searches_text", False)
    assert comem("ask", "Fact 1?", "--max-new-tokens", 2)[2] == f"{WITHOUT_BANK}\n"


def test_a_question_without_a_picture_finds_items_by_its_words(comem, default):
    code, output, error = comem("ask", "Is it fact 1?", "--max-new-tokens", 2, "--top-k", 2)
    lines = [line.split("\t") for line in output.splitlines()]
    assert (code, error) == (0, "") and [line[1] for line in lines[:2]] == ["without memory", "with memory"]
    assert [line[3:5] for line in lines if line[0] == "memory"] == [["words", "item-1"], ["words", "item-0"]]


def test_a_bank_that_can_be_searched_by_text_is_searched_by_each_question(comem, default, monkeypatch):
    search, asked = MemoryBank.search, []

    def by_text(bank, text, k):
        asked.append(text)
        return search(bank, image=make_image(len(asked), (70, 50)), k=k)

    monkeypatch.setattr(MemoryBank, "embeds_text", True)
    monkeypatch.setattr(MemoryBank, "search", by_text)
    monkeypatch.setattr("sys.stdin", io.StringIO("One?\nTwo?\n"))
    code, output, error = comem("ask", "--max-new-tokens", 2, "--top-k", 1)
    assert (code, error, asked) == (0, "", ["One?", "Two?"])
    assert [line.split("\t")[4] for line in output.splitlines() if line.startswith("memory")] == ["item-1", "item-2"]
    assert output.count("answer\twith memory") == 2


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(comem, default, picture, question):
    assert comem("ask", "--image", picture, question) == (2, "", "Error: The question is empty.\n")


def test_a_question_that_is_longer_than_the_model_takes_is_refused_in_one_line(comem, default, picture):
    code, output, error = comem("ask", "--image", picture, "why " * 5000)
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert error.startswith("Error: Question, picture and memory take 20,0") and "but the model has 2,048:" in error


def test_questions_of_a_pipe_are_answered_one_a_line(comem, default, picture, monkeypatch):
    arguments = ("--image", picture, "--max-new-tokens", 2)
    alone = [json.loads(comem("ask", question, *arguments, "--json")[1]) for question in ("One?", "Two?")]
    monkeypatch.setattr("sys.stdin", io.StringIO("One?\n \nTwo?"))
    code, output, error = comem("ask", *arguments)
    assert (code, error) == (0, "")
    lines = [line.split("\t") for line in output.splitlines()]
    assert [line[4] for line in lines if line[0] == "memory"] == [hit["id"] for hit in alone[0]["memory"]]
    assert [line[1:] for line in lines if line[0] == "answer"] == [
        [name.replace("_", " "), found[name]]
        for found in alone
        for name in ("question", "without_memory", "with_memory")
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("One?\nTwo?\n"))
    together = json.loads(comem("ask", *arguments, "--json")[1])
    for found in (*alone, *together):
        assert list(found.pop("seconds"))[-1] == "answer with memory"
    assert together == alone


@pytest.mark.parametrize(
    "content, message",
    [
        (b" \n\n", "There is no question: give one, or lines on"),
        (b"\xff", "The questions on standard input are not text"),
    ],
)
def test_a_pipe_without_questions_is_refused_in_one_line(comem, default, picture, monkeypatch, content, message):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), "utf-8"))
    code, output, error = comem("ask", "--image", picture)
    assert (code, output, error.count("\n")) == (2, "", 1) and error.startswith(f"Error: {message}")


@pytest.mark.slow
@pytest.mark.parametrize("end", [b"\x04", b"\n"])
def test_on_a_terminal_it_asks_again_and_again(end, tmp_path):
    from comem_hf.default import default_path

    screen, terminal = pty.openpty()
    with (tmp_path / "output").open("w") as output:
        command = [sys.executable, "-m", "comem_hf", "ask", "--image", str(default_path("examples") / "gr.png")]
        process = subprocess.Popen(command, stdin=terminal, stdout=output, stderr=terminal)
    os.close(terminal)
    said = b""
    for line in (b"What is the capital?\n", b"<|image_pad|>\n", b"What is the currency?\n", end):
        while not said.endswith(b"\n> "):
            said += os.read(screen, 1000)
        os.write(screen, line)
        said += os.read(screen, 1)  # the echo
    assert process.wait(60) == 0
    assert said.count(b"\n> ") == 4 and said.count(b"Error: ") == 1
    answers = [line.split("\t")[1:] for line in (tmp_path / "output").read_text().splitlines()]
    assert [answer for name, answer in (row[:2] for row in answers) if name == "with memory"] == ["Athens", "Euro"]


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


def test_a_model_without_a_processor_is_refused(comem, default, model_folder, picture, tmp_path):
    shutil.copytree(model_folder, tmp_path / "bare")
    (tmp_path / "bare" / "processor_config.json").unlink()
    code, output, error = comem("ask", "--image", picture, "What?", "--model", tmp_path / "bare")
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert "bare' has no processor; save the backbone's beside it" in error


def test_a_model_without_a_memory_encoder_answers_without_a_bank(comem, default, tower_folder, bank_folder, picture):
    arguments = ["ask", "--image", picture, "What?", "--model", tower_folder, "--max-new-tokens", 2]
    code, output, error = comem(*arguments)
    assert (code, error) == (0, f"{WITHOUT_ENCODER}\n")
    lines = [line.split("\t") for line in output.splitlines()]
    assert [line[1] for line in lines if line[0] == "answer"] == ["answer"]
    assert [line[1] for line in lines if line[0] == "time"] == ["load the model", "answer", "total"]
    found = json.loads(comem(*arguments, "--json")[1])
    assert (found["with_memory"], found["memory"]) == (None, [])
    code, output, error = comem(*arguments, "--bank", bank_folder)
    assert (code, output) == (2, "")
    assert error.startswith(f"Error: No memory bank fits {str(tower_folder)!r}: it has no memory encoder, as its")


def test_no_more_items_are_retrieved_than_the_model_has_slots_for(comem, default, slots_folder, picture, monkeypatch):
    arguments = ["ask", "--image", picture, "What?", "--model", slots_folder, "--max-new-tokens", 2]
    code, output, error = comem(*arguments)
    assert (code, error) == (0, "")
    assert [line.split("\t")[1] for line in output.splitlines() if line.startswith("memory")] == ["1", "2"]
    monkeypatch.setattr("transformers.AutoModelForImageTextToText.from_pretrained", pytest.fail)
    refusal = "Error: `--top-k` 3 needs 24 slots, but this model has 16, enough for 2 items.\n"
    assert comem(*arguments, "--top-k", 3) == (2, "", refusal)


@pytest.mark.parametrize("command", ["build-bank", "search", "app"])
def test_commands_that_need_a_memory_encoder_say_so(
    command, comem, tower_folder, items_file, bank_folder, tmp_path, picture
):
    if command == "app":
        pytest.importorskip("gradio", reason="the extra `app` is not installed")
    arguments = {
        "build-bank": [items_file, tmp_path / "bank"],
        "search": [bank_folder, "--image", picture],
        "app": [],
    }
    code, _, error = comem(command, *arguments[command], "--model", tower_folder)
    assert code == 2 and "it has no memory encoder, as its `num_memory_tokens` is 0, and takes no items" in error
    assert not (tmp_path / "bank").exists()


def test_with_min_score_a_picture_that_the_bank_does_not_know_is_answered_without_memory(comem, tmp_path):
    make_image(3, (250, 140)).save(tmp_path / "unknown.png")
    arguments = ("ask", "--min-score", 0.5, "What is the capital?", "--image")
    code, output, error = comem(*arguments, tmp_path / "unknown.png")
    assert code == 0 and "Nothing found: no item of the bank shows the same thing with a prob" in error
    assert {line.split("\t")[0] for line in output.splitlines()} == {"answer", "time"} and "with memory" not in output
    answer = json.loads(comem(*arguments, tmp_path / "unknown.png", "--json")[1])
    assert answer["memory"] == [] and answer["with_memory"] is None
    known = json.loads(comem(*arguments, default_path("examples") / "am.png", "--json")[1])
    assert [hit["id"] for hit in known["memory"]] == ["AM"] and known["with_memory"] == "Yerevan"
    assert known["memory"][0]["probability"] > 0.9


def test_a_min_score_is_refused_before_anything_is_answered(comem, model_folder, bank_folder, picture):
    of_bank = ("ask", "What?", "--image", picture, "--model", model_folder, "--bank", bank_folder, "--min-score")
    code, output, error = comem(*of_bank, 0.5)
    assert (code, output) == (2, "") and error.endswith("that needs at least 8 items, and it has 4.\n")
    assert comem(*of_bank, 2)[0] == 2
