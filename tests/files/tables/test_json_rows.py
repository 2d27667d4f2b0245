"""Rows of JSON files of both forms."""

import json
import time

import pytest

from comem_hf.files.tables import json_rows
from comem_hf.files.tables.json_rows import json_table


def rows_of(path):
    return [str(row) if isinstance(row, ValueError) else row for _, row in json_table(path).read(())]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_a_list_is_read_entry_by_entry_wherever_the_file_is_divided(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    entries = [{"text": 'ä]}{\\"', "n": -1.5e3, "deep": [{"a": [None, True]}]}, 12, {}, [1], {"text": "x" * 100}]
    for indent in (None, 2):
        (tmp_path / "a.json").write_text("\ufeff \n" + json.dumps(entries, indent=indent) + "\n \n")
        rows = rows_of(tmp_path / "a.json")
        assert [row for row in rows if isinstance(row, dict)] == [entries[0], {}, entries[4]]
        assert rows[1] == "expected a JSON object, got '12'."
    (tmp_path / "a.json").write_text("[ ]")
    assert rows_of(tmp_path / "a.json") == []


@pytest.mark.parametrize(
    "content, reason",
    [
        ('[{"a": 1},\n  {"a": }]', r"a.json', line 2, column 9: it is no valid JSON: Expecting value; nothing after"),
        ('[{"a": 1}\n {"a": 2}]', r"line 2, column 2: it is no valid JSON: expected ',', got '{'"),
        ('[{"a": 1}, {"a', r"line 1, column 13: it is no valid JSON: Unterminated string starting at"),
        ('[{"a": 1}', r"it is no valid JSON: the file ends before ','"),
        ("[]x", r"it is no valid JSON: expected nothing after the list, got 'x'"),
    ],
)
def test_what_is_no_json_names_line_and_column_after_the_rows_before_it(content, reason, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=reason):
        rows_of(tmp_path / "a.json")


def test_an_error_at_the_beginning_of_a_large_list_does_not_read_all_of_it(tmp_path):
    (tmp_path / "a.json").write_text('[{"a": oops}, ' + '{"text": "x"}, ' * 1_000_000)
    start = time.monotonic()
    with pytest.raises(ValueError, match="line 1, column 8"):
        rows_of(tmp_path / "a.json")
    assert time.monotonic() - start < 0.5


def test_lines_are_read_whatever_the_name_says_and_a_single_object_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"text": "One."}\n{"text": "Two."}\n')
    assert rows_of(tmp_path / "a.json") == [{"text": "One."}, {"text": "Two."}]
    for content in ('{\n "text": "One."\n}', '"text"', "5"):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(ValueError, match="must be a list of objects, or an object a line; it begins with b"):
            json_table(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[]", encoding="utf-16")
    with pytest.raises(ValueError, match="a.json' is UTF-16, but JSON must be UTF-8"):
        json_table(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match="a.jsonl' is empty"):
        json_table(tmp_path / "a.jsonl")
