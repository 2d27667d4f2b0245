"""Rows of CSV files, as spreadsheets and shops write them."""

import codecs
import gzip
import logging

import pytest

from comem_hf.files.option_names import options_as_words
from comem_hf.files.tables.csv_rows import csv_table


@pytest.fixture
def said(caplog, monkeypatch):
    """What was logged."""
    for name in ("transformers", "comem_hf"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    return caplog


def rows_of(path, *texts, **options):
    """The fields of the rows; of a bad one, what is said of it."""
    rows = [
        (where, str(row) if isinstance(row, ValueError) else row)
        for where, row in csv_table(path, **options).read(texts)
    ]
    return [row for _, row in rows]


def write(path, lines, encoding="utf-8"):
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-32"])
def test_delimiter_and_encoding_are_found_out(mark, encoding, tmp_path):
    lines = [["id", "größe", "text"], ["1", "3", '"a, b; c | d"'], ["2", "4", '"zwei\nZeilen"'], ["3", "", "Öl"]]
    path = write(tmp_path / "a.csv", map(mark.join, lines), encoding)
    assert rows_of(path) == [
        {"id": 1, "größe": 3, "text": "a, b; c | d"},
        {"id": 2, "größe": 4, "text": "zwei\nZeilen"},
        {"id": 3, "größe": None, "text": "Öl"},
    ]
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        file.write(path.read_bytes())
    assert rows_of(tmp_path / "a.csv.gz") == rows_of(path, encoding=encoding, delimiter=mark)
    assert csv_table(path).count() == 4  # lines after the first, by which progress is shown


def test_a_guessed_encoding_is_said_with_an_example_and_the_option_as_the_caller_writes_it(tmp_path, said):
    path = write(tmp_path / "a.csv", ["text,city", "x,Łódź"], "cp1250")
    assert rows_of(path) == [{"text": "x", "city": "£ódŸ"}]
    assert "is not UTF-8 and is read as cp1252, such as 'x,£ódŸ'; if that is wrong, name its" in said.text
    assert said.text.rstrip().endswith("with `encoding=`.")
    said.clear()
    with options_as_words():
        assert rows_of(path, encoding="cp1250") == [{"text": "x", "city": "Łódź"}] and not said.text
        csv_table(path)
        assert said.text.rstrip().endswith("with `--encoding`.")
        with pytest.raises(ValueError, match="`--encoding` must be an encoding that Python knows, such as 'cp1250'"):
            csv_table(path, encoding="nothing")


# A column in a file with this delimiter, and what its values become; `None`: they stay as they are.
NUMBERS = [
    (",", ["1", "-3", "", "NA"], [1, -3, None, None]),
    (",", ["0.5", "nan", "2.0e3", "1E-3"], [0.5, None, 2000.0, 0.001]),
    (",", ["1.234", "2"], [1.234, 2]),  # as programs write it
    (",", ['"1,234.50"', "7"], [1234.5, 7]),
    (",", ['"1,234"', "7"], None),  # 1234, or 1.234?
    (",", ['"12,50"', "7"], None),  # a decimal comma where commas separate the columns
    (";", ["12,50", "7", "0,125"], [12.5, 7, 0.125]),
    (";", ["1.299,00", "-1.000.000", "n/a"], [1299.0, -1000000, None]),
    (";", ["12.50", "7"], [12.5, 7]),
    (";", ["0.125", "1.500"], [0.125, 1.5]),  # the zero tells
    (";", ["1.299", "7"], None),  # 1299, or 1.299?
    (";", ["1,234", "7"], None),
    (";", ["12,50", "12.50"], None),  # two ways of writing in one column
    ("\t", ["12,50", "7"], [12.5, 7]),
    ("\t", ["1.234", "7"], [1.234, 7]),
    (";", ["007", "1"], None),
    (";", ["12,50 €", "1"], None),
    (",", ["true", "False", ""], [True, False, None]),
    (",", ["true", "1"], None),
    (",", ["1234567890123456789012", "1"], None),
]


@pytest.mark.parametrize("mark, values, expected", NUMBERS)
def test_a_column_holds_numbers_only_where_each_value_is_one_and_can_mean_one_number_alone(
    mark, values, expected, tmp_path
):
    path = write(tmp_path / "a.csv", [f"text{mark}value", *(f"1{mark}{value}" for value in values)])
    rows = rows_of(path, "text", delimiter=mark)
    found = [row["value"] for row in rows]
    assert found == (expected or [value.strip('"') for value in values])
    assert [type(each) for each in found] == [type(each) for each in expected or found]
    assert {row["text"] for row in rows} == {"1"}


def test_why_a_column_of_prices_is_text_is_said(tmp_path, said):
    rows_of(write(tmp_path / "a.csv", ["text;price", *(f"x;{n},50" for n in range(20)), "x;auf Anfrage"]))
    assert "a.csv', line 22: the column 'price' holds text, since 'auf Anfrage' is no number like the 20" in said.text
    said.clear()
    rows_of(write(tmp_path / "a.csv", ["text;price", "x;1.299", "x;5"]))
    assert "the column 'price' holds text, since '1.299' may be 1.299 or 1299" in said.text
    said.clear()
    rows_of(write(tmp_path / "a.csv", ["text;price", "x;12,50", "x;13.99"]))
    assert "line 3: the column 'price' holds text, since '13.99' is written in another way" in said.text
    said.clear()
    rows_of(write(tmp_path / "a.csv", ["text;size", "x;38", "x;XL"]))
    assert not said.text


def test_a_bad_line_costs_one_row_and_says_what_is_wrong_where(tmp_path):
    lines = [
        b"image;text;price",
        b'"a\n.png";A;1',
        b"b.png;B",
        b"c.png;C;3;4",
        b"d.png;D\xff;5",
        b"",
        b'"e.png" x;E;6',
        "f.png;Ä;7;;".encode(),
        b'g.png;"G;8',
        b"h.png;H;9",
    ]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    rows = list(csv_table(tmp_path / "a.csv").read(()))
    assert [where.rpartition("line ")[2] for where, _ in rows] == ["2", "4", "5", "6", "8", "9", "10"]
    assert rows[0][1] == {"image": "a\n.png", "text": "A", "price": 1} and rows[5][1]["text"] == "Ä"
    assert [str(row) for _, row in rows if isinstance(row, ValueError)] == [
        "it has 2 fields, but the file has 3 columns: `price` is missing.",
        "it has 4 fields, but the file has 3 columns: '4' stands after `price`. A field with ';' in it must stand in "
        "quotation marks.",
        "`text` is not UTF-8.",
        "after a closing quotation mark stands no ';'; a quotation mark inside a field must be doubled.",
        "a quotation mark opens a field here, and none closes it up to the end of the file. "
        "Lines 10 to 11 are left out.",
    ]


def test_names_of_columns_are_cleaned_and_columns_without_a_name_left_out(tmp_path):
    path = write(tmp_path / "a.csv", ["sep=;", "; image ;price;;", "0;a.png;3;;", "1;b.png;4;;"], "utf-8-sig")
    assert csv_table(path).columns == ("image", "price")
    assert rows_of(path) == [{"image": "a.png", "price": 3}, {"image": "b.png", "price": 4}]
    assert [where.rpartition(", ")[2] for where, _ in csv_table(path).read(())] == ["line 3", "line 4"]


@pytest.mark.parametrize(
    "content, options, reason",
    [
        (b"", {}, "a.csv' is empty"),
        (codecs.BOM_UTF8, {}, "The first line of '.*' is empty: it must name the columns"),
        (b"\n\n", {}, "is empty: it must name the columns"),
        (b"image,text, text\n", {}, "Two columns of '.*' have the name 'text'"),
        (b"image;text\na;b\n", {"delimiter": ","}, "one column, 'image;text', if `delimiter=` is ',';.* by ';'"),
        (b"image;text\na;b\n", {"delimiter": ";;"}, "`delimiter=` must be one character, got ';;'"),
        ("größe,text\n".encode("cp1252"), {"encoding": "utf-8"}, "names of the columns of .* are no text in utf-8"),
        ("image,text\n".encode("utf-16") + b"\n", {"encoding": "utf-16"}, "as utf-16: "),
    ],
)
def test_a_file_that_is_no_csv_says_what_to_do(content, options, reason, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        csv_table(tmp_path / "a.csv", **options)


def test_a_compressed_file_that_was_cut_off_is_refused_before_its_first_row(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        file.write(b"text\n" + b"".join(b"row %d\n" % number for number in range(5000)))
    (tmp_path / "a.csv.gz").write_bytes((tmp_path / "a.csv.gz").read_bytes()[:-9])
    with pytest.raises(ValueError, match="Cannot read '.*a.csv.gz': Compressed file ended before"):
        csv_table(tmp_path / "a.csv.gz")


def test_quotation_marks_that_break_the_rules_say_which_lines_they_cost(tmp_path):
    lines = ["id,title", '1,"TV 55" wide",x', '2,"b"', '3,"open', "4,d"]
    first, _, last = rows_of(write(tmp_path / "a.csv", lines))
    assert "a quotation mark inside a field must be doubled." in first
    assert last.endswith("none closes it up to the end of the file. Lines 4 to 5 are left out.")
    with pytest.raises(ValueError, match="The first line of .*b.csv' must name the columns, but its quotation marks"):
        csv_table(write(tmp_path / "b.csv", ['id,"ti"tle,price', "1,a,2"]))


def test_what_excel_and_shops_write_is_taken_for_what_it_is(tmp_path):
    path = write(tmp_path / "a.csv", ["sep=;", "id;article;sold;kind", "1;1E5;true;none", "2;2E9;n/a;n/a"])
    assert rows_of(path) == [
        {"id": 1, "article": "1E5", "sold": True, "kind": "none"},
        {"id": 2, "article": "2E9", "sold": None, "kind": "n/a"},
    ]
    assert rows_of(write(tmp_path / "b.csv", ["id\tname", "1\ta"]), delimiter="\\t") == [{"id": 1, "name": "a"}]
    assert rows_of(write(tmp_path / "c.csv", ["id,name", "1,a\0b", "2,c"]))[1] == {"id": 2, "name": "c"}
    with pytest.raises(ValueError, match="as hex"):
        csv_table(path, encoding="hex")
