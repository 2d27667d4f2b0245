"""Items that take the place of others, and items that are removed by their metadata."""

import pytest

from comem_hf import MemoryItem
from tests.conftest import make_image


def test_upsert_adds_replaces_and_passes_over(mine, items, new_items):
    other = MemoryItem(image=make_image(31), text="Better.", id="item-1", metadata={"n": 1})
    left_out = mine.upsert([new_items[0], other, items[2], {"text": "no picture", "id": "item-3"}])
    assert [(entry["item"], entry.get("repetition", False)) for entry in left_out] == [(2, True), (3, False)]
    assert mine.ids == [*(f"item-{n}" for n in (0, 2, 3, 4, 5, 6)), "new-20", "item-1"] and len(mine) == 8
    assert mine["item-1"].text == "Better." and mine["item-3"].text == items[3].text
    assert [hit.item.id for hit in mine.search(image=other.image, k=1)] == ["item-1"]
    assert mine.search(image=other.image, k=8, ids=["item-1"])[0].item.text == "Better."
    assert [entry["repetition"] for entry in mine.upsert(other)] == [True]  # a single item, as it is there
    assert mine.config.generation == 1
    with pytest.raises(ValueError, match="`upsert` this one in its place"):
        mine.add(MemoryItem(image=make_image(32), text="Other.", id="item-1"), on_error="raise")
    mine.verify()


def test_items_are_removed_by_what_their_metadata_says(mine):
    assert mine.remove(where={"n": {"$gte": 5}}) == ["item-5", "item-6"]
    assert mine.remove(where={"n": 100}) == [] and mine.config.generation == 1
    assert mine.remove(["item-1", "item-1"]) == ["item-1"] and len(mine) == 4
    for arguments, given in (({}, "neither"), ({"ids": ["item-0"], "where": {"n": 0}}, "both")):
        with pytest.raises(ValueError, match=f"takes the `ids` of items or a `where` that they fit, got {given}"):
            mine.remove(**arguments)
