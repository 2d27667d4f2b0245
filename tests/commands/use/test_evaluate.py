"""`comem evaluate`."""

import json

import pytest

from comem_hf.answering import WITHOUT_ENCODER
from comem_hf.evaluation import DISTURBANCES, WAYS


QUESTIONS = [
    {"item_id": "item-0", "question": "What is it?", "answer": "Fact 0.", "kind": "fact"},
    {"item_id": "item-3", "question": "Which fact is it?", "answer": "Fact 3.", "kind": "number"},
]


@pytest.fixture
def questions_file(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    return path


@pytest.fixture
def evaluate(comem, model_folder, bank_folder):
    """Runs `comem evaluate` on the tiny model and bank; standard error may hold progress bars."""

    def run(*arguments):
        return comem("evaluate", "--model", model_folder, "--bank", bank_folder, *arguments)

    return run


def test_evaluate_prints_a_row_for_every_way_and_writes_the_same_as_json(evaluate, questions_file, tmp_path):
    written_to = tmp_path / "new" / "scores.json"
    code, output, _ = evaluate("--questions", questions_file, "--top-k", 2, "--output", written_to)
    assert code == 0
    lines = [line.split("\t") for line in output.splitlines()]
    rows = {line[1]: line[2:] for line in lines if line[0] == "2 questions, top-2 of 4 items"}
    kinds = {line[1]: line[2:] for line in lines if line[0] == "exact match by kind of question"}
    recall = {line[1]: line[2] for line in lines if line[0] == "retrieval recall@1"}
    assert (list(rows), list(kinds), list(recall)) == (list(WAYS), list(WAYS), list(DISTURBANCES))

    written = json.loads(written_to.read_text())
    assert (written["questions"], written["top_k"]) == (2, 2)
    assert rows == {s["way"]: [f"{s['exact_match']:.3f}", f"{s['positions']:.0f}"] for s in written["scores"]}
    assert recall == {name: f"{share:.3f}" for name, share in written["recall_at_1"].items()}
    assert [{key: row[key] for key in ("item_id", "question")} for row in written["answers"]] == [
        {key: row[key] for key in ("item_id", "question")} for row in QUESTIONS
    ]
    for row, question in zip(written["answers"], QUESTIONS, strict=True):
        assert row["expected"] == question["answer"]
        assert all(isinstance(row[way], str) for way in WAYS)
    positions = {score["way"]: score["positions"] for score in written["scores"]}
    assert positions["memory, true item"] - positions["no memory"] == 8
    assert positions["memory, top-k"] - positions["no memory"] == 16


def test_by_default_no_more_items_are_retrieved_than_the_model_has_slots_for(
    comem, slots_folder, bank_folder, questions_file
):
    arguments = ["--model", slots_folder, "--bank", bank_folder, "--questions", questions_file]
    code, output, _ = comem("evaluate", *arguments, "--json")
    assert code == 0
    found = json.loads(output)
    assert (found["top_k"], [score["way"] for score in found["scores"]]) == (2, list(WAYS))
    assert "--top-k" not in found["command"]
    refusal = "Error: `--top-k` 3 needs 24 slots, but this model has 16, enough for 2 items.\n"
    assert comem("evaluate", *arguments, "--top-k", 3) == (2, "", refusal)


def test_evaluate_counts_the_right_answers(evaluate, questions_file, tmp_path, monkeypatch):
    def answer(model, processor, inputs, max_new_tokens):
        return [" fact 0. "] * len(inputs["input_ids"])

    monkeypatch.setattr("comem_hf.evaluation.ways.generate_answers", answer)
    code, output, _ = evaluate("--questions", questions_file)
    assert code == 0
    for line in (line.split("\t") for line in output.splitlines()):
        if line[0] == "2 questions, top-3 of 4 items":
            assert line[2] == "0.500"
        elif line[0] == "exact match by kind of question":
            assert line[2:] == ["1.00", "0.00"]  # fact, number


@pytest.mark.parametrize(
    "line, message",
    [
        ("{", "Error: Line 3 of '"),
        ('{"item_id": "item-1", "question": "What?"}', "Error: Line 3 of '"),
    ],
)
def test_a_bad_line_of_the_questions_is_named_before_anything_is_printed(evaluate, questions_file, line, message):
    questions_file.write_text(questions_file.read_text() + line)
    code, output, error = evaluate("--questions", questions_file)
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert error.startswith(message) and "questions.jsonl' is no question" in error


def test_a_questions_file_that_is_missing_or_empty_is_one_line(evaluate, tmp_path):
    code, output, error = evaluate("--questions", tmp_path / "none.jsonl")
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert error.startswith("Error: Cannot read questions from ")
    (tmp_path / "empty.jsonl").touch()
    code, output, error = evaluate("--questions", tmp_path / "empty.jsonl")
    assert (code, output, error.count("\n")) == (2, "", 1)
    assert error.endswith("empty.jsonl' holds no questions.\n")


def test_a_question_about_an_item_that_the_bank_lacks_is_refused_by_name(evaluate, tmp_path):
    (tmp_path / "questions.jsonl").write_text(json.dumps({**QUESTIONS[0], "item_id": "nowhere"}))
    code, output, error = evaluate("--questions", tmp_path / "questions.jsonl")
    assert (code, output) == (2, "")
    assert "has no item 'nowhere'" in error.splitlines()[-1]


def test_a_model_without_a_memory_encoder_is_scored_without_memory_items(
    comem, default, tower_folder, bank_folder, questions_file
):
    arguments = ["evaluate", "--model", tower_folder, "--questions", questions_file]
    code, output, error = comem(*arguments)
    assert code == 0 and WITHOUT_ENCODER in error
    lines = [line.split("\t") for line in output.splitlines()]
    ways = [line[1] for line in lines if line[0] == "2 questions"]  # nothing was retrieved
    assert ways == ["no memory", "RAG, true item"] and not any(line[0] == "retrieval recall@1" for line in lines)
    found = json.loads(comem(*arguments, "--json")[1])
    assert [score["way"] for score in found["scores"]] == ways
    assert (found["recall_at_1"], found["top_k"]) == ({}, None)
    code, output, error = comem(*arguments, "--bank", bank_folder)
    assert (code, output) == (2, "")
    assert error.startswith(f"Error: No memory bank fits {str(tower_folder)!r}: it has no memory encoder, as its")
