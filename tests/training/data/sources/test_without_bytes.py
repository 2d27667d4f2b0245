"""Tables without the contents of their pictures."""

import datasets
import pyarrow as pa

from comem_hf.training.data.sources.tables import TableRows
from comem_hf.training.data.sources.without_bytes import without_bytes


ROWS = [
    {"image": {"bytes": b"one", "path": None}, "memories": [{"image": {"bytes": b"two", "path": "a"}, "text": "A"}]},
    {"image": None, "memories": None},
    {"image": {"bytes": None, "path": "b"}, "memories": [{"image": None, "text": "B"}, None]},
    {"image": {"bytes": b"three", "path": "c"}, "memories": []},
    {"image": {"bytes": b"four", "path": None}, "memories": [{"image": {"bytes": b"x", "path": None}, "text": None}]},
]


def emptied(value):
    if isinstance(value, dict):
        return {key: emptied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [emptied(each) for each in value]
    return b"" if isinstance(value, bytes) else value


def test_contents_are_empty_and_nothing_else_changes():
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    item = pa.struct([("image", picture), ("text", pa.string())])
    for list_of in (pa.list_, pa.large_list):
        table = pa.Table.from_pylist(ROWS, pa.schema([("image", picture), ("memories", list_of(item))]))
        for part in (table, table.slice(1, 3), table.slice(4), pa.concat_tables([table, table.slice(2)])):
            assert without_bytes(part).to_pylist() == emptied(part.to_pylist())
            assert without_bytes(part).schema == part.schema


def test_rows_of_a_table_are_checked_without_their_pictures_and_read_with_them():
    rows = TableRows(datasets.Dataset.from_list(ROWS).cast_column("image", datasets.Image()))
    assert list(rows.without_pictures()) == emptied(ROWS)
    assert [rows[i] for i in range(5)] == list(rows) == ROWS
