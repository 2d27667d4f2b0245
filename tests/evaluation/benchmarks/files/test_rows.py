import pytest

from comem_hf.evaluation.benchmarks.files.rows import Row, UniqueIds, csv_records, json_entries, json_lines, literal


def test_lines_are_numbered_with_the_empty_ones_and_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes('\ufeff{"a": "ä"}\n\n{"a": 2}'.encode())
    assert [(row.place, row.fields) for row in json_lines(path)] == [("line 1", {"a": "ä"}), ("line 3", {"a": 2})]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": 1', "line 2 is no valid JSON .*column.*cut off"),
        (b'{"a": "\xff"}', "line 2 is no valid JSON .*utf-8"),
        (b"[1]", "line 2 must be a JSON object, got \\[1\\]"),
        (b"[" * 100_000, "line 2 is no valid JSON"),
    ],
)
def test_a_bad_line_is_refused_when_it_is_reached(tmp_path, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 0}\n' + line + b"\n")
    rows = json_lines(path)
    assert next(rows).fields == {"a": 0}
    with pytest.raises(ValueError, match=message):
        next(rows)


@pytest.mark.parametrize("read", [json_lines, json_entries, csv_records])
def test_a_file_that_is_not_there_is_a_value_error_with_its_name(tmp_path, read):
    with pytest.raises(ValueError, match="Cannot read .*nothing.* \\(No such file"):
        list(read(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ('{"a": [', "a", "line 1 is no valid JSON"),
        ("[]", "a", "must be a JSON object with a list `a`"),
        ('{"a": {}}', "a", "must hold a list `a`, got {}"),
        ("7", None, "must hold a list, got 7"),
        ("[{}, 7]", None, "entry 2 must be a JSON object, got 7"),
    ],
)
def test_a_json_file_without_the_list_is_refused(tmp_path, content, name, message):
    path = tmp_path / "rows.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        list(json_entries(path, name))


@pytest.mark.parametrize(
    ("read", "field", "value"),
    [
        ("text", "t", ""),
        ("id", "n", "7"),
        ("id", "s", "seven"),
        ("whole", "n", 7),
        ("flag", "f", False),
        ("texts", "l", ["a", "b"]),
        ("listed", "l", ["a", "b"]),
        ("listed", "p", ["a's", 'b"c']),
    ],
)
def test_fields_of_the_right_type_are_returned(read, field, value):
    row = Row(
        "file", "line 1", {"t": "", "n": 7, "s": "seven", "f": False, "l": ["a", "b"], "p": """["a's", 'b"c']"""}
    )
    assert getattr(row, read)(field) == value


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *(("text", each) for each in (None, 7, ["a"])),
        *(("filled", each) for each in ("", " \n", 7)),
        *(("id", each) for each in (True, 1.5, "", None)),
        *(("whole", each) for each in (True, -1, "1", 1.0)),
        *(("flag", each) for each in (0, "false", None)),
        *(("texts", each) for each in ([], "a", ["a", 1], None)),
        *(("listed", each) for each in ("['a' 'b']", "[]", "('a', 'b')", "[1]", "a", "['a'", [], "__import__('os')")),
    ],
)
def test_a_field_of_another_type_is_named_with_its_place_and_value(read, value):
    with pytest.raises(ValueError) as raised:
        getattr(Row("file", "line 4", {"x": value}), read)("x")
    assert str(raised.value).startswith("'file', line 4: `x` must be ") and repr(value) in str(raised.value)


def test_a_long_value_is_not_shown_whole():
    with pytest.raises(ValueError) as raised:
        Row("file", "line 4", {"x": ["y" * 1000]}).text("x")
    assert len(str(raised.value)) < 200


def test_an_id_that_comes_twice_names_both_places():
    ids = UniqueIds("id")
    assert ids.take(Row("one", "line 1", {"id": 3})) == "3"
    with pytest.raises(ValueError, match="'two', line 9: `id` '3' is that of 'one', line 1 already"):
        ids.take(Row("two", "line 9", {"id": "3"}))


def test_records_of_a_csv_file_begin_where_they_say(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes('\ufeffa,b\n1,"x\ny"\n\n2,"é"\n'.encode())
    records = list(csv_records(path))
    assert [(row.place, row.fields) for _, row in records] == [
        ("line 2", {"a": "1", "b": "x\ny"}),
        ("line 5", {"a": "2", "b": "é"}),
    ]
    assert [path.read_bytes()[start:][:2] for start, _ in records] == [b"1,", b"2,"]


def test_a_literal_is_read_and_nothing_is_run():
    assert literal(" {'bytes': b'\\xff'}") == {"bytes": b"\xff"}
    assert [literal(text) for text in ("print(1)", "[", "(" * 10_000, "\0")] == [None] * 4
