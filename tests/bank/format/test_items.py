"""Stored items: Parquet files."""

from pathlib import Path

import pytest

from comem_hf import MemoryBank
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


def test_items_of_another_number_are_refused(copy):
    replace_file(
        copy, "items-00000.parquet", lambda path: path.write_bytes((copy / "items-00002.parquet").read_bytes())
    )
    with pytest.raises(ValueError, match="must hold 3 rows of id, text, image and metadata, got 1 rows"):
        MemoryBank.from_pretrained(copy)["item-0"]
