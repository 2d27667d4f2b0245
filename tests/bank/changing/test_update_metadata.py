"""Metadata changes without an encoder."""

import json
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow.parquet
import pytest

from comem_hf import MemoryBank
from comem_hf.bank.encoding.item_encoder import ItemEncoder
from tests.bank.conftest import contents


def test_a_change_of_metadata_alone_needs_no_model_and_keeps_vectors_and_places(mine, items, tmp_path, monkeypatch):
    hits = mine.search(image=items[4].image, k=3)
    vectors = mine.memory_inputs([hits])["memory_embeds"]
    files = {name: data for name, data in contents(mine.folder).items() if name[:5] in ("memor", "items", "index")}
    monkeypatch.setattr(ItemEncoder, "_run", None)  # whoever encodes fails
    bare = MemoryBank.from_pretrained(mine.folder)
    known = {"image": items[4].image, "text": items[4].text, "id": "item-4"}
    assert bare.upsert([{**known, "metadata": {"n": 40, "price": Decimal("9.50")}}]) == []
    bare.update_metadata({"item-5": {"price": np.float32(2.5), "added": datetime(2026, 1, 2), "n": None}})
    bare.update_metadata({"item-4": {"n": 41}, "item-0": {"n": 0}})
    with pytest.raises(ValueError, match="Item 0 .*: its text or picture is not one .* `bank.attach"):
        bare.upsert([{**known, "text": "Other."}])
    assert json.loads((mine.folder / "bank_config.json").read_text())["format_version"] == 2
    assert files.items() <= contents(mine.folder).items()  # nothing of them was written again
    fields = {"item-4": {"n": 41, "price": 9.5}, "item-5": {"price": 2.5, "added": "2026-01-02T00:00:00"}}
    for bank in (bare, mine.reload(), MemoryBank.from_pretrained(mine.folder)):
        assert bank.ids == [item.id for item in items] and bank.config.generation == 3
        assert {item_id: bank[item_id].metadata for item_id in fields} == fields
        assert [item.id for item in bank.items({"price": {"$lt": 10}})] == ["item-4", "item-5"]
        assert [item.id for item in bank.items({"n": {"$gte": 3}})] == ["item-3", "item-4", "item-6"]
    assert mine.memory_inputs([hits])["memory_embeds"].equal(vectors)  # earlier hits are good
    mine.remove(["item-5"])
    mine.save_pretrained(tmp_path / "saved")
    merged = MemoryBank.merge([mine], tmp_path / "merged")
    for bank in (MemoryBank.from_pretrained(tmp_path / "saved"), merged):
        assert bank.config.format_version == 1 and bank.config.changed_metadata is None and bank.verify()
        assert [item.metadata for item in bank.items()] == [item.metadata for item in mine.items()]
    rows = pyarrow.parquet.read_table(tmp_path / "saved" / "items-00001.parquet").to_pylist()
    assert json.loads(rows[1]["metadata"]) == fields["item-4"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"item-1": {"n": 2}, "nowhere": {}}, "has no item 'nowhere'"),
        ([("item-1", {})], "`changes` must map ids to fields of their metadata, got list"),
        ({"item-1": 3}, "must map the id 'item-1' to fields of its metadata, such as .*, got 3"),
        ({"item-1": {"n": object()}}, "The new metadata of 'item-1' cannot be stored"),
    ],
)
def test_metadata_that_cannot_be_changed_leaves_the_bank_as_it_was(mine, changes, message):
    before = contents(mine.folder)
    with pytest.raises(ValueError, match=message):
        mine.update_metadata(changes)
    mine.update_metadata({"item-1": {"n": 1}})  # as it is
    mine.update_metadata({})
    assert contents(mine.folder) == before
    mine.update_metadata({"item-1": {"n": True}})
    assert mine["item-1"].metadata["n"] is True
