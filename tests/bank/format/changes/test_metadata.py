"""Changed metadata is read as it was written, row by row and as a column, and damage is noticed."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from comem_hf import MemoryBank
from comem_hf.bank.format.changes.metadata import ChangedItems, open_items
from tests.bank.conftest import replace_file


def test_rows_and_columns_have_what_was_changed_last(copy):
    bank = MemoryBank.from_pretrained(copy)
    assert type(bank._state.items) is not ChangedItems
    bank.update_metadata({"item-6": {"a": 1}, "item-2": {"a": 2}})
    bank.update_metadata({"item-2": {"a": 3}, "item-3": {"n": "three"}})
    items = open_items(copy, bank.config)
    expected = [{"n": 0}, {"n": 1}, {"n": 2, "a": 3}, {"n": "three"}, {"n": 4}, {"n": 5}, {"n": 6, "a": 1}]
    columns = [column.to_pylist() for column in items.read_column("metadata")]
    assert [len(column) for column in columns] == [3, 3, 1]
    assert [json.loads(text) for column in columns for text in column] == expected
    for with_images in (True, False):
        records = items.read_records([6, 2, 0], with_images)
        assert [json.loads(record.metadata) for record in records] == [expected[row] for row in (6, 2, 0)]
        assert all((record.image is not None) is with_images for record in records)
    assert next(items.read_column("id")).to_pylist() == ["item-0", "item-1", "item-2"]


@pytest.mark.parametrize(
    "rows, metadata",
    [([2, 2], ["{}", "{}"]), ([7], ["{}"]), ([-1], ["{}"]), ([1], [None]), ([1.5], ["{}"]), ([], []), ([1], [2])],
)
def test_a_file_that_does_not_fit_the_bank_is_refused(copy, rows, metadata):
    MemoryBank.from_pretrained(copy).update_metadata({"item-1": {"a": 1}})
    table = pa.table({"row": np.asarray(rows), "metadata": metadata})
    replace_file(copy, "metadata-00001.parquet", lambda path: pq.write_table(table, path))
    with pytest.raises(ValueError, match="metadata-00001.parquet' is damaged"):
        MemoryBank.from_pretrained(copy)


def test_a_file_that_is_no_table_is_refused(copy):
    MemoryBank.from_pretrained(copy).update_metadata({"item-1": {"a": 1}})
    replace_file(copy, "metadata-00001.parquet", lambda path: path.write_bytes(b"PAR1 no"))
    with pytest.raises(ValueError, match="metadata-00001.parquet' is damaged"):
        MemoryBank.from_pretrained(copy)
