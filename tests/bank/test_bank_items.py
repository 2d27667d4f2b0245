"""A bank as a mapping of ids to items, and as a list of items."""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank import MemoryHit
from tests.conftest import make_image


def test_a_bank_is_a_mapping_of_ids_to_items(bank, items):
    assert list(dict(bank)) == bank.keys() == bank.ids
    assert {item_id: (item.text, item.metadata) for item_id, item in dict(bank).items()} == {
        item.id: (item.text, item.metadata) for item in items
    }
    for use in (lambda: bank["zz"], lambda: bank.get(["item-0", "zz"]), lambda: bank.stored_image("zz")):
        for kind in (KeyError, ValueError):
            with pytest.raises(kind) as error:
                use()
            assert str(error.value) == f"The bank {str(bank.folder)!r} has no item 'zz'."
    assert [item.text for item in bank.get(["item-3", "item-1"])] == [items[3].text, items[1].text]
    assert [item.id for item in bank.get(bank.search(image=items[5].image, k=1))] == ["item-5"]
    with pytest.raises(ValueError, match="`ids` must be a list of ids, got 'item-1'"):
        bank.get("item-1")


def test_items_are_listed_by_metadata_and_in_parts(bank, items):
    everything = bank.items()
    assert len(everything) == 7 and [item.id for item in everything] == bank.ids
    assert everything[-1].text == items[6].text and [item.id for item in everything[2:4]] == ["item-2", "item-3"]
    assert np.array_equal(np.asarray(everything[0].image), np.asarray(items[0].image))
    assert [item.id for item in bank.items({"n": {"$ne": 2}}, offset=1, limit=3)] == ["item-1", "item-3", "item-4"]
    assert len(bank.items(limit=0)) == len(bank.items(offset=9)) == 0
    for arguments, message in (
        ({"limit": -1}, "`limit` must be a number of items, 0 or more, got -1"),
        ({"offset": "2"}, "`offset` must be a number of items, 0 or more, got '2'"),
        ({"where": {"m": 1}}, "No item has the metadata field 'm'"),
    ):
        with pytest.raises(ValueError, match=message):
            bank.items(**arguments)


def test_searches_are_narrowed_down_and_take_vectors(bank, items):
    bare = MemoryBank.from_pretrained(bank.folder)
    vectors = bank._state.index.vectors(0, 7)
    found = [hit.item.id for hit in bank.search(image=items[4].image, k=7)]
    assert [hit.item.id for hit in bare.search(vector=vectors[4], k=7)] == found
    by_list = bare.search(vector=[vectors[4].tolist(), vectors[1].tolist()], k=1)
    assert [[hit.item.id for hit in hits] for hits in by_list] == [["item-4"], ["item-1"]]
    narrow = {"ids": ["item-2", "item-4", "item-6"], "exclude": ["item-4", "not there"]}
    expected = [item_id for item_id in found if item_id in ("item-2", "item-6")]
    for query in ({"image": items[4].image}, {"vector": vectors[4]}):
        assert [hit.item.id for hit in bank.search(**query, k=7, **narrow)] == expected
        assert [hit.item.id for hit in bank.search(**query, **narrow, where={"n": 2})] == ["item-2"]
        assert bank.search(**query, ids=[]) == []
    hit = bank.search(image=items[4].image, k=1)[0]
    assert [hit.item.id for hit in bank.search(image=items[4].image, k=7, exclude=[hit])] == found[1:]
    for arguments, message in (
        ({"vector": vectors[4], "text": "a"}, "leave out `image` and `text`, or `vector`"),
        ({"vector": vectors[4][1:]}, r"`vector` must have the shape \(128,\), or \(queries, 128\) .*, got \(127,\)"),
        ({"vector": vectors[4] * np.nan}, "`vector` has numbers that are not finite"),
        ({"vector": "near"}, "`vector` must be numbers, got str"),
        ({"vector": vectors[4], "min_score": 0.5}, "for searches by pictures alone"),
        ({"image": items[4].image, "ids": ["zz"]}, "has no item 'zz'"),
        ({"image": items[4].image, "exclude": "item-4"}, "`exclude` must be a list of ids, got 'item-4'"),
    ):
        with pytest.raises(ValueError, match=message):
            bank.search(**arguments)


def test_numbers_stand_for_their_text_as_ids_and_dates_and_decimals_for_what_is_stored(build, tmp_path):
    metadata = [
        {"price": Decimal(f"{n}.50"), "on": date(2026, 1, 1 + n), "size": np.int64(n), "tags": np.array([n])}
        for n in range(4)
    ]
    items = [MemoryItem(image=make_image(n), text=f"Fact {n}.", id=n, metadata=metadata[n]) for n in range(4)]
    bank = build(items[:3], output_dir=tmp_path / "bank")
    bank.add(items[3])
    assert bank.ids == ["0", "1", "2", "3"] and 2 in bank and np.int64(3) in bank and 4 not in bank
    assert bank[1].metadata == {"price": 1.5, "on": "2026-01-02", "size": 1, "tags": [1]}
    assert [item.id for item in bank.get([3, "1"])] == ["3", "1"]
    assert bank.memory_inputs([[2, MemoryHit(items[0], 1.0, 0)]])["memory_embeds"].equal(
        bank.memory_inputs([["2", "0"]])["memory_embeds"]
    )
    assert [hit.item.id for hit in bank.search(image=make_image(2), k=4, ids=[1, 2], exclude=[1])] == ["2"]
    for where in (
        {"price": {"$gte": Decimal("2.50")}},
        {"on": {"$gte": date(2026, 1, 3)}},
        {"size": {"$in": [np.int64(2), np.int64(3)]}},
    ):
        assert [item.id for item in bank.items(where)] == ["2", "3"]
    bank.update_metadata({1: {"price": Decimal("20")}})
    assert bank.remove([0]) == ["0"] and bank.stored_image(1) and bank[1].metadata["price"] == 20
