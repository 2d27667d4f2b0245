"""Items that are added are found, and items that are removed are not."""

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.changing import add_and_remove, writer
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.index import default_factory
from comem_hf.bank.sources import read_image_folder
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.default import default_path
from tests.bank.conftest import contents, publish
from tests.conftest import make_image


def test_added_items_are_found_as_if_they_had_been_built_in(mine, build, items, new_items, tmp_path):
    mine.add(new_items, batch_size=2)
    whole = build([*items, *new_items], output_dir=tmp_path / "whole")
    assert mine.ids == whole.ids and len(mine) == 12
    for item in (items[3], *new_items):
        found, expected = mine.search(image=item.image, k=4), whole.search(image=item.image, k=4)
        assert [hit.item.id for hit in found] == [hit.item.id for hit in expected]
        assert found[0].item.id == item.id and found[0].item.text == item.text
        np.testing.assert_allclose([hit.score for hit in found], [hit.score for hit in expected], atol=1e-6)
        torch.testing.assert_close(
            mine.memory_inputs([found])["memory_embeds"], whole.memory_inputs([expected])["memory_embeds"]
        )
    assert mine["new-22"].text == "New fact 22."
    assert (mine.config.generation, mine.config.shard_sizes) == (1, [3, 3, 1, 5])
    assert "# Memory bank of 12 items" in (mine.folder / "README.md").read_text()
    assert MemoryBank.from_pretrained(mine.folder).config == mine.config


def test_removed_items_are_seen_nowhere(mine, items):
    hits = mine.search(image=items[4].image, k=7)
    mine.remove(["item-4", "item-0"])
    assert len(mine) == 5 and mine.ids == [f"item-{number}" for number in (1, 2, 3, 5, 6)]
    for bank in (mine, MemoryBank.from_pretrained(mine.folder, model=mine._model, processor=mine._processor)):
        found = [hit.item.id for hit in bank.search(image=items[4].image, k=7)]
        assert found == [hit.item.id for hit in hits if hit.item.id not in ("item-4", "item-0")]
        for use in (lambda bank=bank: bank["item-4"], lambda bank=bank: bank.memory_inputs([["item-4"]])):
            with pytest.raises(ValueError, match="has no item 'item-4'"):
                use()
        assert "item-4" not in [hit.item.id for hit in bank.search(image=items[4].image, k=7, where={"n": [3, 4]})]
        with pytest.raises(ValueError, match="The item 'item-4' has been removed from the bank"):
            bank.memory_inputs([hits])
    assert "# Memory bank of 5 items" in (mine.folder / "README.md").read_text()


def test_hits_of_before_are_good_as_long_as_their_items_are_there(mine, items, new_items):
    hits = mine.search(image=items[2].image, k=2)
    before = mine.memory_inputs([hits])["memory_embeds"]
    mine.remove(["item-4"])
    mine.add(new_items)
    torch.testing.assert_close(mine.memory_inputs([hits])["memory_embeds"], before)


def test_a_removed_id_can_be_used_again(mine):
    other = MemoryItem(image=make_image(30), text="Better.", id="item-1")
    with pytest.raises(ValueError, match=r"Item 0 \(id 'item-1'\): the bank .* `remove\(\['item-1'\]\)` it first"):
        mine.add([other], on_error="raise")
    mine.remove(["item-1"])
    assert mine.add([other]) == []
    assert mine["item-1"].text == "Better."
    assert mine.search(image=other.image, k=1)[0].item.text == "Better."
    assert mine.ids == ["item-0", *(f"item-{number}" for number in range(2, 7)), "item-1"]


def test_items_that_are_there_already_are_passed_over_and_listed_as_repetitions(mine, items, new_items, caplog):
    before = contents(mine.folder)
    left_out = mine.add(items, on_error="raise")
    assert left_out == [
        {
            "item": n,
            "id": f"item-{n}",
            "reason": f"Item {n} (id 'item-{n}'): it is a repetition of 'item-{n}', which the bank holds already.",
            "repetition": True,
        }
        for n in range(7)
    ]
    assert contents(mine.folder) == before and mine.config.generation == 0 and "skipped" not in caplog.text
    left_out = mine.add([items[0], new_items[0], items[1], new_items[0]])
    assert [(entry["item"], entry["repetition"]) for entry in left_out] == [(0, True), (2, True), (3, True)]
    assert left_out[2]["reason"] == "Item 3 (id 'new-20'): it is a repetition of item 1."
    assert mine.ids[7:] == ["new-20"]


def test_a_known_id_of_a_different_item_does_not_end_an_addition(mine, items, new_items, caplog):
    other = MemoryItem(image=make_image(30), text="Better.", id="item-1")
    left_out = mine.add([new_items[0], other, items[2], new_items[1]])
    assert [(entry["item"], entry.get("repetition", False)) for entry in left_out] == [(1, False), (2, True)]
    assert "holds another item of that id; `remove(['item-1'])` it first" in left_out[0]["reason"]
    assert mine.ids[7:] == ["new-20", "new-21"] and mine["item-1"].text != "Better."
    assert "1 of 4 items were skipped. Item 1 (id 'item-1'): the bank" in caplog.text


def test_a_folder_that_was_copied_one_level_deeper_adds_nothing(build, model, tiny_processor, tmp_path):
    folder = tmp_path / "pictures"
    for place in (folder, folder / "copy"):
        place.mkdir()
        make_image(0).save(place / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    bank = build(read_image_folder(folder / "copy"), output_dir=tmp_path / "bank")
    left_out = bank.add(read_image_folder(folder))
    assert len(bank) == 1 and [entry.get("repetition") for entry in left_out] == [True] * 3
    assert bank[bank.ids[0]].metadata == {"file_name": "a.png"}


def test_what_a_bank_that_counted_the_names_of_files_holds_is_recognised(build, tmp_path):
    item = MemoryItem(image=make_image(0), text="A shoe.", metadata={"file_name": "a.png"})
    old_id = ItemRecord.from_item(item).other_ids[-1]
    bank = build([replace(item, id=old_id)], output_dir=tmp_path / "bank")
    assert [entry["repetition"] for entry in bank.add([item])] == [True]


def test_what_a_bank_of_an_older_version_holds_is_recognised(build, model, tiny_processor, tmp_path):
    """There, the id of an item without one left metadata out."""
    item = MemoryItem(image=make_image(0), text="A shoe.", metadata={"shop": "A", "price": 30})
    old_id = ItemRecord.from_item(MemoryItem(image=make_image(0), text="A shoe.")).id
    bank = build([replace(item, id=old_id)], output_dir=tmp_path / "bank")
    assert bank.ids == [old_id]
    assert [entry["repetition"] for entry in bank.add([item])] == [True]
    others = [replace(item, metadata={"shop": "B", "price": 28}), replace(item, metadata=None)]
    assert bank.add(others) == []
    assert [bank[item_id].metadata.get("shop") for item_id in bank.ids] == ["A", "B", None]
    assert [entry["repetition"] for entry in bank.add([*others, item])] == [True, True, True]
    assert len(bank) == 3


def test_items_that_cannot_be_used_are_skipped_or_stop_the_addition(mine, new_items, tmp_path):
    (tmp_path / "empty.png").touch()
    bad = MemoryItem(image=tmp_path / "empty.png", text="Nothing.", id="bad")
    with pytest.raises(ValueError, match=r"Item 1 \(id 'bad'\): '.*empty.png': its image is not"):
        mine.add([new_items[0], bad], on_error="raise")
    assert len(mine) == 7 and mine.config.generation == 0
    skipped = mine.add([new_items[0], bad, new_items[1]])
    assert [(entry["item"], entry["id"]) for entry in skipped] == [(1, "bad")]
    assert mine.ids[7:] == ["new-20", "new-21"]
    with pytest.raises(ValueError, match="`on_error` must be 'skip' or 'raise', got 'ignore'"):
        mine.add(new_items, on_error="ignore")


def test_adding_needs_the_model_that_made_the_bank(copy, model, other_model, tiny_processor, new_items):
    bank = MemoryBank.from_pretrained(copy)
    with pytest.raises(ValueError, match="`add` encodes items with the model that made this bank"):
        bank.add(new_items)
    with pytest.raises(ValueError, match="was made by the memory encoder .* but this model's is"):
        bank.add(new_items, model=other_model, processor=tiny_processor)
    bank.add(new_items, model=model, processor=tiny_processor)
    assert len(bank) == 12


@pytest.mark.parametrize(
    "ids, message",
    [
        (["item-1", "no-such", "nor-this"], "has no item 'no-such'"),
        ("item-1", r"`ids` must be a list of ids, got 'item-1'"),
        ([f"item-{number}" for number in range(7)], "No item would be left in the bank"),
    ],
)
def test_what_cannot_be_removed_leaves_the_bank_as_it_was(mine, ids, message):
    before = contents(mine.folder)
    with pytest.raises(ValueError, match=message):
        mine.remove(ids)
    assert contents(mine.folder) == before
    assert len(mine) == 7


def test_nothing_to_add_or_remove_changes_nothing(mine):
    before = contents(mine.folder)
    mine.remove([])
    mine.add([])
    assert contents(mine.folder) == before


def test_a_bank_in_a_repository_is_not_changed(hub, bank):
    publish(hub, bank.folder)
    with pytest.raises(ValueError, match="is a commit of a Hub repository and cannot be changed"):
        MemoryBank.from_pretrained("ann/bank").remove(["item-1"])


def test_the_bank_of_the_package_is_not_changed(tmp_path):
    folder = default_path("bank")
    before = contents(folder)
    bank = MemoryBank.from_pretrained(folder)
    with pytest.raises(ValueError, match="is part of the installed package, .* `save_pretrained` it to another"):
        bank.remove([bank.ids[0]])
    assert contents(folder) == before and not (folder / ".writer.lock").exists()
    bank.save_pretrained(tmp_path / "mine")
    mine = MemoryBank.from_pretrained(tmp_path / "mine")
    mine.remove([bank.ids[0]])
    assert mine.ids == bank.ids[1:]


def test_a_bank_that_was_deleted_does_not_come_back_as_an_empty_folder(mine, new_items):
    shutil.rmtree(mine.folder)
    for use in (lambda: mine.add(new_items), lambda: mine.remove(["item-1"]), mine.reload):
        with pytest.raises(ValueError, match="copy' is no memory bank: it has no bank_config.json"):
            use()
    assert not mine.folder.exists()


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_integers_are_added_as_integers(build, items, new_items, tmp_path, dtype, model, tiny_processor):
    bank = build(items[:2], output_dir=tmp_path / "bank", dtype=dtype)
    bank.add(new_items[:1])
    assert bank.memory_inputs([["item-0", "new-20"]])["memory_embeds"].isfinite().all()
    assert writer.memory_name(1) in bank.config.files


@pytest.mark.parametrize("factory", ["IVF2,SQ8", "HNSW8", "SQ8", "RR128,IVF2,Flat"])
def test_any_index_is_added_to_and_read_on_when_its_file_is_gone(model, tiny_processor, new_items, tmp_path, factory):
    many = [MemoryItem(image=make_image(seed), text="A fact.", id=f"many-{seed}") for seed in range(100, 200)]
    bank = MemoryBank.build(
        many, model=model, processor=tiny_processor, output_dir=tmp_path / "bank", index_factory=factory
    )
    reader = MemoryBank.from_pretrained(bank.folder, model=model, processor=tiny_processor)
    queries = [item.image for item in (*many[::10], *new_items)]
    before = reader.search(image=queries, k=3)
    bank.remove(["many-100", "many-110"])
    bank.add(new_items)
    bank.remove(["new-20"])
    assert not (bank.folder / "index.faiss").exists()
    assert reader.search(image=queries, k=3) == before
    for each in (bank, reader.reload()):
        found = [hits[0].item.id for hits in each.search(image=queries, k=1)]
        assert found[2:10] == [item.id for item in many[20::10]] and found[11:] == [f"new-{n}" for n in range(21, 25)]
        assert not {"many-100", "many-110", "new-20"} & set(found)
    assert bank.verify()["removed"] == 3


def test_a_bank_that_outgrows_its_index_is_told_so(mine, new_items, monkeypatch):
    warnings = []
    monkeypatch.setattr(add_and_remove.logger, "warning", warnings.append)
    monkeypatch.setattr(default_factory, "EXACT_UP_TO", 10)
    mine.add(new_items[:2])
    assert warnings == []
    mine.add(new_items[2:])
    assert len(warnings) == 1 and "12 items the bank is too large for its index 'Flat'" in warnings[0]
    mine.add([MemoryItem(image=make_image(60), text="One more.")])
    assert len(warnings) == 1


@pytest.mark.parametrize("name", ["index.faiss", "words.safetensors", "memory-00000.safetensors"])
def test_damage_is_never_written_again_under_a_new_checksum(copy, model, tiny_processor, tmp_path, monkeypatch, name):
    monkeypatch.setattr("comem_hf.bank.opened.state.HASHED_AT_OPENING", 0)  # as of a bank too large to be hashed
    content = bytearray((copy / name).read_bytes())
    content[-5] ^= 1
    (copy / name).write_bytes(content)
    damaged = MemoryBank.from_pretrained(copy, model=model, processor=tiny_processor)
    with pytest.raises(ValueError, match=f"{name}' is damaged"):
        MemoryBank.merge([damaged], tmp_path / "merged")
    if not name.startswith("memory"):
        with pytest.raises(ValueError, match=f"{name}' is damaged"):
            damaged.add([MemoryItem(image=make_image(99), text="New.")])
    assert not (tmp_path / "merged").exists()


def test_pixel_limits_that_were_changed_after_attaching_are_named_by_an_addition(mine, tiny_processor, new_items):
    processor = copy.deepcopy(tiny_processor)
    mine.attach(mine._model, processor)
    processor.memory_max_pixels *= 2
    with pytest.raises(ValueError, match="does not fit the processor of this model: .* with `memory_max_pixels` 3136"):
        mine.add(new_items)


def test_reasons_of_an_addition_begin_with_the_name_of_the_item(mine, items, tmp_path):
    items[2].image.save(tmp_path / "two.png")
    known = {"image": tmp_path / "two.png", "text": items[2].text, "id": "item-2", "metadata": {"n": 2}}
    [repeated] = mine.add([known])
    [refused] = mine.add([{**known, "text": "Other."}])
    assert repeated["repetition"] and repeated["reason"].startswith(f"'{tmp_path / 'two.png'}': it is a repetition of")
    assert refused["reason"].startswith(f"'{tmp_path / 'two.png'}': the bank ")


def test_files_that_were_not_read_are_no_skipped_items_of_an_addition(mine, new_items, caplog):
    others = [UnreadableItem(f"'{name}': it is not read.", is_error=False) for name in ("a.zip", "b.zip")]
    left_out = mine.add([new_items[0], others[0]], on_error="raise")
    assert [(entry["item"], entry["other_file"]) for entry in left_out] == [(1, True)]
    assert "1 other file was not read. 'a.zip': it is not read." in caplog.text and "skipped" not in caplog.text
    caplog.clear()
    mine.add([*others, {"id": "x"}, new_items[1]])
    assert "1 of 2 items were skipped, and 2 other files were not read. Item 2 (id 'x')" in caplog.text
