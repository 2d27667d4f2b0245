import json

import pytest

from comem_hf.evaluation import exact_match, load_questions


def test_rows_become_questions(tmp_path):
    rows = [
        {"item_id": "CU", "question": "Capital?", "answer": "Havana", "kind": "capital"},
        {"item_id": "TO", "question": "Language?", "answer": "Tongan"},
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = load_questions(path)
    assert (first.item_id, first.question, first.answer, first.kind) == ("CU", "Capital?", "Havana", "capital")
    assert second.kind == ""


@pytest.mark.parametrize("line", ["not json", "[]", '"text"', '{"item_id": "CU", "question": "Capital?"}'])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"item_id": "CU", "question": "?", "answer": "!"}) + f"\n{line}\n")
    with pytest.raises(ValueError, match="Line 2 of .*questions.jsonl.* is no question"):
        load_questions(path)


def test_a_missing_or_empty_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="Cannot read questions from .*missing.jsonl"):
        load_questions(tmp_path / "missing.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ValueError, match="holds no questions"):
        load_questions(tmp_path / "empty.jsonl")


def test_answers_match_but_for_case_and_outer_space():
    assert exact_match(" cuban PESO\n", "Cuban Peso")
    assert not exact_match("Cuban  Peso", "Cuban Peso")
    assert not exact_match("Peso", "Cuban Peso")
    assert not exact_match("Cuban Peso.", "Cuban Peso")
