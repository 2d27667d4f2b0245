"""Items on their way into a bank."""

import os

import pytest

from comem_hf import MemoryItem
from comem_hf.bank.encoding.skipped import read_skipped
from comem_hf.bank.format.record import MAX_IMAGE_BYTES, ItemRecord
from tests.conftest import make_image


def test_what_is_no_file_or_too_large_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    for image, reason in (
        (tmp_path / "pipe.png", "cannot read image '.*pipe.png': it is no file"),
        ("/dev/zero", "cannot read image '/dev/zero': it is no file"),
        (tmp_path, "cannot read image .*: Is a directory"),
        (tmp_path / "a\0.png", "cannot read image .*: embedded null byte"),
        (tmp_path / "large.png", "cannot read image '.*large.png': it has 67,108,865 bytes, at most 67,108,864 are"),
        (bytes(MAX_IMAGE_BYTES + 1), "its image has 67,108,865 bytes"),
    ):
        with pytest.raises(ValueError, match=reason):
            ItemRecord.from_item(MemoryItem(image=image))


@pytest.mark.parametrize("given_id", ["twin", None])
def test_an_item_that_is_there_twice_is_stored_once_and_listed_as_a_repetition(build, given_id, tmp_path, caplog):
    items = [MemoryItem(image=make_image(0), text="a", id=given_id, metadata={"price": 3}) for _ in range(8)]
    bank = build(items, output_dir=tmp_path / "bank", on_error="raise")
    assert len(bank) == 1
    assert read_skipped(bank.folder) == [
        {"item": n, "id": bank.ids[0], "reason": "It is a repetition of item 0.", "repetition": True}
        for n in range(1, 8)
    ]
    assert "7 of 8 items are repetitions of others; " in caplog.text and "skipped" not in caplog.text.split("; ")[0]


def test_items_without_an_id_are_the_same_only_if_everything_is_the_same(build, tmp_path):
    first = {"image": make_image(0), "text": "A shoe.", "metadata": {"shop": "A", "price": 30}}
    others = (
        {"text": "A boot."},
        {"image": make_image(1)},
        {"metadata": {"shop": "B", "price": 28}},
        {"metadata": {}},
    )
    bank = build([first, *({**first, **change} for change in others), first], output_dir=tmp_path / "bank")
    assert len(bank) == 5 and [entry["item"] for entry in read_skipped(bank.folder)] == [5]
    shops = [bank[item_id].metadata.get("shop") for item_id in bank.ids]
    assert shops == ["A", "A", "A", "B", None]


def test_a_picture_under_two_names_is_one_item(build, tmp_path):
    for name in ("a.png", "b.png"):
        make_image(0).save(tmp_path / name)
    bank = build([MemoryItem(image=tmp_path / name) for name in ("a.png", "b.png")], output_dir=tmp_path / "bank")
    assert len(bank) == 1 and read_skipped(bank.folder)[0]["repetition"]


def test_different_items_of_one_id_are_no_repetitions(build, tmp_path, caplog):
    items = [MemoryItem(image=make_image(0), id="x", metadata={"price": n}) for n in (1, 2, 1)]
    bank = build(items, output_dir=tmp_path / "bank")
    problem, repetition = read_skipped(bank.folder)
    assert problem == {"item": 1, "id": "x", "reason": "item 0 already has its id 'x'."}
    assert (repetition["item"], repetition["repetition"]) == (2, True)
    assert "1 of 3 items were skipped, and 1 of 3 items are repetitions of others; " in caplog.text
    with pytest.raises(ValueError, match=r"Item 1 \(id 'x'\): item 0 already has its id 'x'"):
        build(items, output_dir=tmp_path / "second", on_error="raise")
