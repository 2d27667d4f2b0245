"""Rows of CSV files."""

import pytest

from comem_hf.bank.sources.folder.csv_rows import csv_columns, read_csv
from comem_hf.bank.sources.rows.unreadable import UnreadableItem


def test_columns_hold_numbers_only_where_all_values_are_numbers(tmp_path):
    lines = [
        "\ufefftext,n,x,zip,flag,mixed,none",
        "1,1,0.5,007,true,1,",
        "2,NA,nan,100,False,one,",
        "nan,-3,2e3,1,,2,",
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    rows = [row for _, row in read_csv(tmp_path / "a.csv", lambda name: name == "text")]
    assert rows == [
        {"text": "1", "n": 1, "x": 0.5, "zip": "007", "flag": True, "mixed": "1", "none": None},
        {"text": "2", "n": None, "x": None, "zip": "100", "flag": False, "mixed": "one", "none": None},
        {"text": None, "n": -3, "x": 2000.0, "zip": "1", "flag": None, "mixed": "2", "none": None},
    ]
    assert type(rows[0]["n"]) is int


def test_a_bad_line_costs_one_row_and_says_where_it_is(tmp_path):
    lines = [b"file_name,text", b'"a\n.png",A', b"b.png", b"c.png,\xff", b"", b"d.png,D"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    rows = list(read_csv(tmp_path / "a.csv", lambda name: True))
    assert [where.rpartition("line ")[2] for where, _ in rows] == ["2", "4", "5", "7"]
    assert rows[0][1] == {"file_name": "a\n.png", "text": "A"} and rows[3][1]["text"] == "D"
    assert isinstance(rows[1][1], UnreadableItem) and rows[1][1].reason.endswith(
        "line 4: it has 1 fields, but the file has 2 columns."
    )
    assert rows[2][1].reason.endswith("line 5: it is not UTF-8.")


def test_names_of_columns_have_no_spaces_around_them(tmp_path):
    (tmp_path / "a.csv").write_text("\ufefffile_name, price ,text\na.png,3,A\n")
    assert csv_columns(tmp_path / "a.csv") == ["file_name", "price", "text"]
    [(_, row)] = read_csv(tmp_path / "a.csv", lambda name: name == "text")
    assert row == {"file_name": "a.png", "price": 3, "text": "A"}


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "it is empty, or its first line is: that line must name the columns"),
        (b"\n\n", "it is empty"),
        (b"file_name,text, text\n", "two of its columns have the name 'text'"),
        (b"file_name;text\na.png;A\n", "separated by ';': separate its columns by commas, and save it as UTF-8"),
        (b"file_name\ttext\na.png\tA\n", r"separated by '\\t': separate its columns by commas"),
        ("file_name,text\n".encode("utf-16"), "it is UTF-16: separate its columns by commas, and save it as UTF-8"),
        ("file_name,text\n".encode("utf-16-le"), "it is not UTF-8 text: .* save it as UTF-8"),
        ("file_name,größe\n".encode("latin-1"), "the names of its columns are not UTF-8: .* save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_csv_in_utf_8_says_what_to_do(content, reason, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        csv_columns(tmp_path / "a.csv")
