"""Stored items: Parquet files."""

from pathlib import Path

import pytest

from comem_hf import MemoryBank
from comem_hf.bank.format import items
from comem_hf.bank.format.record import ItemRecord
from tests.bank.conftest import replace_file


def test_items_can_be_read_by_the_datasets_library(copy):
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset("parquet", data_files=str(copy / "items-*.parquet"), split="train", cache_dir=copy)
    assert isinstance(rows.features["image"], datasets.Image)
    assert rows[4]["id"] == "item-4"
    assert rows[4]["image"].size == (56, 56)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the open files of Linux")
def test_reading_items_leaves_no_file_open(copy):
    bank = MemoryBank.from_pretrained(copy)
    before = len(list(Path("/proc/self/fd").iterdir()))
    items = [bank[item_id] for item_id in bank.ids]
    assert len(items) == 7 and len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_row_group_holds_few_large_pictures_and_many_small_ones(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(items, "BYTES_PER_GROUP", 1000)
    sizes = [400, 500, 2000, 100, *[0] * 40]
    records = [ItemRecord(str(n), "text", b"x" * size or None, None, "{}") for n, size in enumerate(sizes)]
    items.write_items(tmp_path / "items.parquet", records)
    file = parquet.ParquetFile(tmp_path / "items.parquet")
    groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert groups == [2, 1, 32, 9]
    assert [row["id"] for row in file.read().to_pylist()] == [record.id for record in records]


def test_items_of_another_number_are_refused(copy):
    replace_file(
        copy, "items-00000.parquet", lambda path: path.write_bytes((copy / "items-00002.parquet").read_bytes())
    )
    with pytest.raises(ValueError, match="must hold 3 rows of id, text, image and metadata, got 1 rows"):
        MemoryBank.from_pretrained(copy)["item-0"]
