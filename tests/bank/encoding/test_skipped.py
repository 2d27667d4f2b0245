"""Items that cannot be used: left out, reported, and no reason to stop."""

import io
import json
import os

import PIL.Image
import pytest
import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.encoding.skipped import read_skipped, write_skipped
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.pictures import decoding
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from tests.bank.conftest import bomb, truncated_image
from tests.conftest import make_image


@pytest.fixture(scope="session")
def mixed() -> list:
    """Seven good items among fourteen that cannot be used."""
    return [
        MemoryItem(image=make_image(0), id="good-0"),
        MemoryItem(image=b"", id="empty"),
        MemoryItem(image=bomb(), id="bomb"),
        MemoryItem(image=make_image(1), id="good-1"),
        MemoryItem(image="gone.png", id="missing"),
        MemoryItem(image=make_image(1, (4000, 4)), id="line"),
        {"id": "nothing"},
        MemoryItem(text="Only text.", id="text"),
        UnreadableItem("line 9 is not valid JSON."),
        *(MemoryItem(image=make_image(seed), id=f"good-{seed}") for seed in (2, 3, 4)),
        MemoryItem(image=make_image(9), id="good-0"),
        MemoryItem(image=truncated_image(), id="torn"),
        MemoryItem(image=make_image(9), metadata={"x": object()}),
        MemoryItem(image=make_image(5), id="good-5"),
        3,
        MemoryItem(image=make_image(9), text="\ud800"),
        MemoryItem(image=make_image(9), id="\udfff"),
        MemoryItem(image=PIL.Image.open(io.BytesIO(truncated_image())), id="torn, opened"),
        MemoryItem(image=make_image(6), id="good-6"),
    ]


REASONS = {
    1: "Item 1 (id 'empty'): its image is not a readable picture",
    2: "Item 2 (id 'bomb'): its image is too large to be opened safely",
    4: "'gone.png': cannot read image: No such file",
    5: "Item 5 (id 'line'): its image is 4000 x 4 pixels",
    6: "Item 6 (id 'nothing'): A memory item needs an image, a text or both",
    7: "Item 7 (id 'text'): it has no image. The memory bank finds items by their picture only (embedder 'backbone')",
    8: "line 9 is not valid JSON.",
    12: "Item 12 (id 'good-0'): item 0 already has its id 'good-0'.",
    13: "Item 13 (id 'torn'): its image is not a readable picture",
    14: "Item 14: `metadata` cannot be written as JSON",
    16: "Item 16: A memory item must be a MemoryItem or a mapping",
    17: "Item 17: `text` is no valid Unicode",
    18: "Item 18 (id '\\udfff'): `id` is no valid Unicode",
    19: "Item 19 (id 'torn, opened'): its image is not a readable picture",
}


def test_unusable_items_are_skipped_and_reported_with_number_id_and_reason(build, mixed, tmp_path):
    bank = build(mixed, output_dir=tmp_path / "bank")
    assert bank.ids == [f"good-{seed}" for seed in range(7)]
    for seed in range(7):
        assert bank.search(image=make_image(seed), k=1)[0].item.id == f"good-{seed}"
    skipped = read_skipped(bank.folder)
    assert [entry["item"] for entry in skipped] == list(REASONS)
    assert all(entry["reason"].startswith(REASONS[entry["item"]]) for entry in skipped)
    assert [entry["id"] for entry in skipped][:6] == ["empty", "bomb", "missing", "line", "nothing", "text"]
    bank.verify()


def test_the_rest_is_as_if_the_unusable_items_had_not_been_there(build, mixed, tmp_path):
    bank = build(mixed, output_dir=tmp_path / "bank", batch_size=1)
    clean = build(
        [MemoryItem(image=make_image(seed), id=f"good-{seed}") for seed in range(7)],
        output_dir=tmp_path / "clean",
        batch_size=1,
    )
    assert torch.equal(
        bank.memory_inputs([bank.ids])["memory_embeds"], clean.memory_inputs([clean.ids])["memory_embeds"]
    )


def test_shards_of_which_nothing_is_left_leave_no_gap_in_the_numbers(build, mixed, tmp_path):
    bank = build(mixed, output_dir=tmp_path / "bank", shard_size=1)
    assert bank.config.shard_sizes == [1] * 7
    assert len(MemoryBank.from_pretrained(tmp_path / "bank").ids) == 7


def test_a_summary_is_logged_and_the_report_is_not_part_of_the_bank(build, mixed, items, caplog, tmp_path):
    bank = build(mixed, output_dir=tmp_path / "bank")
    assert "14 of 21 items were skipped" in caplog.text
    assert "skipped.jsonl" not in json.loads((bank.folder / "bank_config.json").read_text())["files"]
    bank.save_pretrained(tmp_path / "copy")
    assert not (tmp_path / "copy" / "skipped.jsonl").exists()
    assert not (build(items, output_dir=tmp_path / "clean").folder / "skipped.jsonl").exists()


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0b", "\n", "\0", "\ud800"])
def test_a_report_is_read_back_whatever_characters_are_in_it(character, tmp_path):
    entries = [{"item": number, "id": f"a{character}b", "reason": f"Not{character}good."} for number in range(2)]
    write_skipped(tmp_path, entries)
    assert read_skipped(tmp_path) == entries


def test_a_decoder_that_fails_in_its_own_way_costs_one_item(build, items, monkeypatch, tmp_path):
    load_image = decoding.load_image

    def fail_at_one(image, name, **options):
        if image == bad:
            raise NotImplementedError("Unimplemented pixel format 0")
        return load_image(image, name, **options)

    bad = ItemRecord.from_item(items[1]).image
    monkeypatch.setattr(decoding, "load_image", fail_at_one)
    bank = build(items, output_dir=tmp_path / "bank")
    assert bank.ids == [item.id for item in items if item is not items[1]]
    assert "Unimplemented pixel format 0" in read_skipped(bank.folder)[0]["reason"]


def test_vectors_that_are_not_finite_cost_one_item(build, items, model, monkeypatch, tmp_path):
    encode_memory = model.encode_memory
    monkeypatch.setattr(
        model, "encode_memory", lambda inputs: encode_memory(inputs).index_fill(0, torch.tensor([0]), 1e30)
    )
    bank = build(items[:3], output_dir=tmp_path / "bank", dtype="float16", batch_size=3)
    assert bank.ids == ["item-0", "item-1"]  # the longest comes first into the batch
    assert read_skipped(bank.folder) == [
        {"item": 2, "id": "item-2", "reason": "Item 2 (id 'item-2'): its vectors in float16 are not finite."}
    ]


def test_a_build_of_nothing_usable_is_an_error_that_names_the_first_reason(build, tmp_path):
    items = [MemoryItem(text=f"Text {number}.", id=f"text-{number}") for number in range(5)]
    with pytest.raises(ValueError, match=r"None of the 5 items can be used. Item 0 \(id 'text-0'\): it has no image"):
        build(items, output_dir=tmp_path / "bank")
    assert not list(tmp_path.iterdir())


def test_a_resumed_build_skips_the_same_items(build, mixed, monkeypatch, tmp_path):
    class Interruption(BaseException):
        pass

    undisturbed = build(mixed, output_dir=tmp_path / "undisturbed").folder
    replace, calls = os.replace, []

    def fail_at_the_thirteenth(*arguments):
        calls.append(arguments)
        if len(calls) == 13:
            raise Interruption
        replace(*arguments)

    monkeypatch.setattr(os, "replace", fail_at_the_thirteenth)
    with pytest.raises(Interruption):
        build(mixed, output_dir=tmp_path / "bank")
    monkeypatch.undo()
    repaired = [
        MemoryItem(image=make_image(8), id="empty") if number == 1 else item for number, item in enumerate(mixed)
    ]
    resumed = build(repaired, output_dir=tmp_path / "bank").folder  # item 1 was skipped, and stays so
    for path in undisturbed.iterdir():
        assert path.read_bytes() == (resumed / path.name).read_bytes(), path.name


def test_a_build_that_stopped_at_a_bad_item_goes_on_by_skipping_it(build, mixed, tmp_path):
    mixed = [*mixed[9:12], *mixed]
    with pytest.raises(ValueError, match=r"Item 4 \(id 'empty'\)"):
        build(mixed, output_dir=tmp_path / "bank", on_error="raise")
    assert len(build(mixed, output_dir=tmp_path / "bank")) == 7


def test_no_space_left_is_said_and_costs_nothing_that_is_finished(build, items, bank, monkeypatch, tmp_path):
    import comem_hf.bank.building.shard_builder as module

    write_items = module.write_items

    def full_at_the_third(path, records):
        if "00002" in path.name:
            raise RuntimeError("Error: No space left on device (os error 28)")  # as FAISS and safetensors say it
        write_items(path, records)

    monkeypatch.setattr(module, "write_items", full_at_the_third)
    with pytest.raises(OSError, match="No space left to write '.*items-00002.parquet'; free some space and try again"):
        build(items, output_dir=tmp_path / "bank")
    monkeypatch.undo()
    assert not (tmp_path / "bank").exists()
    resumed = build(items, output_dir=tmp_path / "bank")
    for path in bank.folder.iterdir():
        assert path.read_bytes() == (resumed.folder / path.name).read_bytes(), path.name


def test_files_that_were_not_read_are_counted_apart(build, tmp_path, caplog):
    others = [UnreadableItem(f"'{n}.zip': it is not read.", is_error=False) for n in range(4)]
    bank = build([*(MemoryItem(image=make_image(n), text="a") for n in range(3)), *others], output_dir=tmp_path / "b")
    [said] = [record.message for record in caplog.records if "skipped.jsonl" in record.message]
    assert said.startswith("4 other files were not read; ")
    assert [entry["item"] for entry in read_skipped(bank.folder) if entry["other_file"]] == [3, 4, 5, 6]
    with pytest.raises(ValueError, match="There are no items .*; 4 other files were not read. '0.zip': it is"):
        build(others, output_dir=tmp_path / "none")
    with pytest.raises(ValueError, match=r"None of the 1 items can be used. Item 4 \(id 'x'\)"):
        build([*others, {"id": "x"}], output_dir=tmp_path / "none")
