import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comem_hf.evaluation.benchmarks.files.parquet_table import ParquetTable, parquet_files


CELL = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def write(path, cells, *, rows_per_group=2, statistics=True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": [f"{path.stem}-{n}" for n in range(len(cells))], "image": pa.array(cells, CELL)})
    pq.write_table(table, path, row_group_size=rows_per_group, write_statistics=statistics)


def cells(first: int, count: int) -> list[dict]:
    return [{"bytes": bytes([number]) * 9, "path": None} for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["test-00002-of-00011.parquet", "test-000010-of-00011.parquet", "val-00000-of-00001.parquet"], [0, 1]),
        (["data/test-000010-of-000028.parquet", "data/test-00002-of-000028.parquet"], [1, 0]),
        (["data/test-00000-of-00001-0123456789abcdef.parquet", "data/testing-00000-of-00001.parquet"], [0]),
        (["default/test/0001.parquet", "default/test/0000.parquet", "default/train/0000.parquet"], [1, 0]),
        (["test.parquet"], [0]),
        (["train-00000-of-00001.parquet"], []),
    ],
)
def test_the_files_of_a_split_are_found_in_the_order_of_their_numbers(tmp_path, files, found):
    for name in files:
        write(tmp_path / name, cells(0, 1))
    assert parquet_files(tmp_path, ["test"]) == [tmp_path / files[number] for number in found]


def test_files_that_their_names_say_are_missing_are_warned_of(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("comem_hf"), "propagate", True)
    write(tmp_path / "test-00000-of-00003.parquet", cells(0, 1))
    found = parquet_files(tmp_path, ["test"])
    assert f"{str(tmp_path)!r}: Only 1 of the 3 files of the split are there" in caplog.text
    assert ParquetTable(found).notes == ("Only 1 of the 3 files of the split are there: scores are of a part only.",)


def test_pictures_are_read_in_any_order_one_row_group_at_a_time(tmp_path, monkeypatch):
    write(tmp_path / "test-0.parquet", cells(0, 5))
    write(tmp_path / "test-1.parquet", cells(5, 3))
    table = ParquetTable([tmp_path / "test-0.parquet", tmp_path / "test-1.parquet"])
    read, original = [], pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda *args, **more: read.append(args[1]) or original(*args, **more)
    )
    rows = list(table.rows(["id"]))
    assert [row.place for row, _ in rows] == [f"row {n}" for n in (1, 2, 3, 4, 5, 1, 2, 3)]
    assert [row.fields["id"] for row, _ in rows][4:6] == ["test-0-4", "test-1-0"]
    assert read == []  # the file's statistics say that no picture is missing
    assert [picture.read()[0] for _, picture in rows] == list(range(8))
    assert read == [0, 1, 2, 0, 1]
    assert [picture.read()[0] for _, picture in reversed(rows)] == list(reversed(range(8)))


@pytest.mark.parametrize("statistics", [True, False])
def test_a_missing_picture_is_none_and_a_path_beside_the_table_is_followed(tmp_path, statistics):
    (tmp_path / "beside.png").write_bytes(b"x")
    some = [*cells(0, 1), None, {"bytes": None, "path": "beside.png"}, {"bytes": None, "path": "../away.png"}]
    some += [{"bytes": b"", "path": None}, {"bytes": None, "path": str(tmp_path / "beside.png")}]
    write(tmp_path / "test.parquet", some, statistics=statistics, rows_per_group=3)
    pictures = [picture for _, picture in ParquetTable([tmp_path / "test.parquet"]).rows(["id"])]
    assert pictures[0].read() == b"\0" * 9
    assert pictures[1:4] == [None, tmp_path / "beside.png", None]
    assert pictures[5] == tmp_path / "beside.png"


def test_a_missing_column_is_named_and_an_optional_one_is_not_missed(tmp_path):
    write(tmp_path / "test.parquet", cells(0, 1))
    with pytest.raises(ValueError, match="test.parquet' has no column `answer`; it has \\['id', 'image'\\]"):
        list(ParquetTable([tmp_path / "test.parquet"]).rows(["id", "answer"]))
    with pytest.raises(ValueError, match="has no column `photo`"):
        list(ParquetTable([tmp_path / "test.parquet"], picture="photo").rows(["id"]))
    ((row, picture),) = ParquetTable([tmp_path / "test.parquet"], picture=None).rows(["id"], optional=["answer"])
    assert (row.fields, picture) == ({"id": "test-0"}, None)


def test_pictures_of_another_type_are_refused(tmp_path):
    pq.write_table(pa.table({"id": ["1"], "image": ["a.png"]}), tmp_path / "test.parquet")
    with pytest.raises(
        ValueError, match="test.parquet', row 1: `image` must be a picture with `bytes` and `path`, got"
    ):
        list(ParquetTable([tmp_path / "test.parquet"]).rows(["id"]))


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: b"", lambda content: b"PAR1" * 9])
def test_a_file_that_was_cut_off_is_refused_by_its_name(tmp_path, damage):
    path = tmp_path / "test.parquet"
    write(path, cells(0, 3))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="test.parquet' is no Parquet file that can be read .*fetch it again"):
        list(ParquetTable([path]).rows(["id"]))


def test_a_file_that_vanished_is_named_when_its_picture_is_read(tmp_path):
    write(tmp_path / "test.parquet", cells(0, 3))
    ((_, picture), *_) = ParquetTable([tmp_path / "test.parquet"]).rows(["id"])
    (tmp_path / "test.parquet").unlink()
    with pytest.raises(ValueError, match="test.parquet' is no Parquet file"):
        picture.read()
