"""Items on their way into a bank."""

import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from comem_hf import MemoryItem
from comem_hf.bank.encoding.input_rows import read_rows
from comem_hf.bank.encoding.skipped import read_skipped
from comem_hf.bank.format.record import MAX_IMAGE_BYTES, ItemRecord
from comem_hf.bank.sources import read_image_folder
from tests.bank.conftest import bomb, truncated_image
from tests.conftest import make_image
from tests.picture_forms import encode


def test_what_is_no_file_or_too_large_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(MAX_IMAGE_BYTES + 1)
    for image, reason in (
        (tmp_path / "pipe.png", "^'.*pipe.png': cannot read image: it is no file"),
        ("/dev/zero", "^'/dev/zero': cannot read image: it is no file"),
        (tmp_path, "^'.*': cannot read image: Is a directory"),
        (tmp_path / "a\0.png", "^'.*': cannot read image: embedded null byte"),
        (tmp_path / "large.png", "^'.*large.png': cannot read image: it has 67,108,865 bytes, at most 67,108,864 are"),
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
        {
            "item": n,
            "id": bank.ids[0],
            "reason": f"Item {n}{f' (id {given_id!r})' if given_id else ''}: it is a repetition of item 0.",
            "repetition": True,
        }
        for n in range(1, 8)
    ]
    assert "7 of 8 items are repetitions of others; " in caplog.text and "skipped" not in caplog.text.split("; ")[0]


def test_an_item_with_several_pictures_is_refused_before_it_is_read():
    items = [MemoryItem(images=["a.png", "b.png"], id="x"), {"images": ["a.png"] * 4}]
    assert [row.problem for row in read_rows(items, embedder=None)] == [
        f"{name}: it has {count} pictures, but a bank keeps one for each item: make each picture an item, or give the "
        "item to the model itself (`memories=`)."
        for name, count in (("Item 0 (id 'x')", 2), ("Item 1", 4))
    ]


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
    assert problem == {"item": 1, "id": "x", "reason": "Item 1 (id 'x'): item 0 already has its id 'x'."}
    assert (repetition["item"], repetition["repetition"]) == (2, True)
    assert "1 of 3 items were skipped, and 1 of 3 items are repetitions of others; " in caplog.text
    with pytest.raises(ValueError, match=r"Item 1 \(id 'x'\): item 0 already has its id 'x'"):
        build(items, output_dir=tmp_path / "second", on_error="raise")


@pytest.mark.parametrize("damaged", [b"xx", b"", bomb(), encode(make_image(1, (4000, 4)))], ids=lambda _: "")
def test_an_item_whose_picture_has_no_good_header_takes_no_id_from_a_good_one(build, damaged, tmp_path):
    good = MemoryItem(image=make_image(0), text="Good.", id="c")
    bank = build([MemoryItem(image=damaged, id="c"), good, good], output_dir=tmp_path / "bank", shard_size=1)
    assert bank["c"].text == "Good."
    first, repetition = read_skipped(bank.folder)
    assert first["item"] == 0 and first["reason"].startswith("Item 0 (id 'c'): its image is ")
    assert repetition["reason"] == "Item 2 (id 'c'): it is a repetition of item 1."


@pytest.mark.parametrize("shard_size", [1, 4])
def test_an_equal_item_of_a_damaged_one_is_damaged_and_no_repetition(build, shard_size, tmp_path):
    torn = MemoryItem(image=truncated_image(), id="c")
    bank = build(
        [torn, MemoryItem(image=make_image(0), id="d"), torn], output_dir=tmp_path / "b", shard_size=shard_size
    )
    assert bank.ids == ["d"]
    skipped = read_skipped(bank.folder)
    assert [entry["item"] for entry in skipped] == [0, 2] and not any("repetition" in entry for entry in skipped)


def test_an_item_after_a_damaged_one_of_its_id_is_told_that_the_first_cannot_be_used(build, tmp_path):
    items = [MemoryItem(image=truncated_image(), id="c"), MemoryItem(image=make_image(0), id="c")]
    bank = build([*items, MemoryItem(image=make_image(1), id="d")], output_dir=tmp_path / "bank")
    assert bank.ids == ["d"]
    assert read_skipped(bank.folder)[1]["reason"] == (
        "Item 1 (id 'c'): item 0 came first with the id 'c', but cannot be used itself; correct item 0, or give the "
        "two different ids."
    )


def test_a_build_that_goes_on_decides_alike_on_items_of_one_id(build, tmp_path):
    class Interruption(BaseException):
        pass

    bad, good = MemoryItem(image=b"xx", id="c"), MemoryItem(image=make_image(0), id="c")
    fill = [MemoryItem(image=make_image(seed), id=f"fill-{seed}") for seed in range(1, 6)]
    items = [bad, *fill[:3], good, good, *fill[3:]]

    def interrupted():
        yield from items[:4]
        raise Interruption

    with pytest.raises(Interruption):
        build(interrupted(), output_dir=tmp_path / "resumed")
    resumed = build(items, output_dir=tmp_path / "resumed")
    undisturbed = build(items, output_dir=tmp_path / "undisturbed")
    assert "c" in resumed.ids
    for path in undisturbed.folder.iterdir():
        assert path.read_bytes() == (resumed.folder / path.name).read_bytes(), path.name


def test_rows_of_pandas_lose_nothing_to_nan(build, tmp_path):
    nan = float("nan")
    rows = [
        {"image": make_image(0), "text": "Zero.", "id": "0", "metadata": {"price": nan, "tags": [nan, 1.5]}},
        {"image": make_image(1), "text": nan, "id": nan, "metadata": nan},
    ]
    bank = build(rows, output_dir=tmp_path / "bank", on_error="raise")
    assert bank["0"].metadata == {"price": None, "tags": [None, 1.5]}
    second = bank[bank.ids[1]]
    assert (second.text, second.metadata) == (None, {})


def test_no_type_of_metadata_costs_an_item(build, tmp_path):
    values = {"raw": b"\xff", "deep": [{"raw": b"\xff", "x": Decimal(3)}], "tags": {"b", "a"}, "at": Path("a/b")}
    expected = {"deep": [{"x": 3}], "tags": ["a", "b"], "at": "a/b"}
    rows = [
        {"image": make_image(0), "id": "0", "metadata": values},
        MemoryItem(image=make_image(1), id="1", metadata=values),
        MemoryItem(image=make_image(2), id="2", metadata=b"no dict"),
    ]
    bank = build(rows, output_dir=tmp_path / "bank")
    assert [bank[item_id].metadata for item_id in bank.ids] == [expected, expected]
    assert "`metadata` must be a dict, got bytes" in read_skipped(bank.folder)[0]["reason"]


def test_numbers_as_ids_are_text_as_in_every_other_source(build, tmp_path):
    rows = [{"image": make_image(0), "id": 7}, MemoryItem(image=make_image(1), id=np.int64(8))]
    assert build(rows, output_dir=tmp_path / "bank", on_error="raise").ids == ["7", "8"]


def test_an_id_that_is_none_costs_one_item(build, tmp_path):
    circle = []
    circle.append(circle)
    rows = [{"image": make_image(0), "id": bad} for bad in (True, circle)]
    bank = build([*rows, {"image": make_image(1), "id": "good"}], output_dir=tmp_path / "bank")
    assert bank.ids == ["good"]
    first, second = (entry["reason"] for entry in read_skipped(bank.folder))
    assert first == "Item 0: `id` must be a non-empty string, got True." and second.startswith("Item 1: Recursion")


def test_a_mapping_with_other_keys_is_told_where_they_go(build, tmp_path):
    rows = [{"image": make_image(0), "price": 3}, {"image": make_image(1)}]
    bank = build(rows, output_dir=tmp_path / "bank")
    [skipped] = read_skipped(bank.folder)
    assert skipped["reason"].startswith("Item 0: it has unknown keys ['price']; put them into `metadata`.")


def test_file_names_that_are_not_utf_8_are_stored_reported_and_found_again(build, tmp_path, caplog):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, content in ((b"caf\xe9.png", None), (b"\xff.png", b"no picture")):
        path = os.fsdecode(os.fsencode(folder) + b"/" + name)
        if content is None:
            make_image(0).save(path)
        else:
            Path(path).write_bytes(content)
    bank = build(read_image_folder(folder), output_dir=tmp_path / "bank")
    [item_id] = bank.ids
    assert bank[item_id].metadata == {"file_name": "caf%E9.png"}
    [skipped] = read_skipped(bank.folder)
    assert skipped["reason"].startswith(f"'{folder}/\\udcff.png': its image is not a readable picture")
    assert "1 of 2 items were skipped" in caplog.text
    bank.verify()
    (tmp_path / "bank" / "skipped.jsonl").read_bytes().decode("utf-8")


def test_a_file_that_is_no_picture_is_reported_and_stops_nothing(build, tmp_path):
    make_image(0).save(tmp_path / "a.png")
    (tmp_path / "notes.md").touch()
    bank = build(read_image_folder(tmp_path), output_dir=tmp_path / ".bank", on_error="raise")
    assert len(bank) == 1
    [skipped] = read_skipped(bank.folder)
    assert skipped["reason"].startswith(f"'{tmp_path}/notes.md': it is not read")
