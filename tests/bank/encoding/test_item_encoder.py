"""Items in batches, each with its own vectors, and pictures that cannot be encoded."""

import copy
import errno
import io
import os

import pytest
import torch

from comem_hf import MemoryItem
from comem_hf.bank.encoding.skipped import read_skipped
from comem_hf.bank.pictures import decoding
from tests.bank.conftest import bomb, truncated_image
from tests.conftest import make_image


def test_batches_sorted_by_length_give_every_item_its_own_vectors_in_the_old_order(build, tmp_path):
    sizes = [(56, 56), (28, 28), (84, 28), (28, 28), (56, 28), (28, 84), (56, 56)]
    items = [
        MemoryItem(image=make_image(seed, size), text="word " * (7 * seed % 5), id=str(seed))
        for seed, size in enumerate(sizes)
    ]
    sorted_bank = build(items, output_dir=tmp_path / "sorted", batch_size=3, shard_size=7)
    single = build(items, output_dir=tmp_path / "single", batch_size=1, shard_size=7)
    assert sorted_bank.ids == single.ids == [item.id for item in items]
    torch.testing.assert_close(
        sorted_bank.memory_inputs([single.ids])["memory_embeds"],
        single.memory_inputs([single.ids])["memory_embeds"],
        atol=1e-5,
        rtol=1e-5,
    )
    for item in items:
        assert sorted_bank.search(image=item.image, k=1)[0].item.id == item.id


def test_a_model_in_training_mode_is_read_without_dropout_and_stays_in_it(build, items, bank, model, tmp_path):
    model.train()
    try:
        trained = build(items, output_dir=tmp_path / "bank")
        assert model.training
    finally:
        model.eval()
    assert torch.equal(
        trained.memory_inputs([bank.ids])["memory_embeds"], bank.memory_inputs([bank.ids])["memory_embeds"]
    )


@pytest.mark.parametrize(
    "content, message",
    [
        (None, r"Item 1 \(id 'bad'\): '.*picture.png': cannot read image: No such file or directory\."),
        (b"", r"Item 1 \(id 'bad'\): '.*picture.png': its image is not a readable picture"),
        (b"no picture at all", r"Item 1 \(id 'bad'\): '.*picture.png': its image is not a readable picture"),
        (truncated_image(), r"'.*picture.png': its image is not a readable picture.*: image file is truncated"),
        (bomb(), r"Item 1 \(id 'bad'\): '.*picture.png': its image is too large to be opened safely"),
    ],
    ids=["missing", "empty", "no picture", "truncated", "decompression bomb"],
)
def test_an_unusable_image_is_refused_by_item_number_and_leaves_no_bank(build, tmp_path, content, message):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    items = [MemoryItem(image=make_image(0), id="good"), MemoryItem(image=path, id="bad")]
    with pytest.raises(ValueError, match=message):
        build(items, output_dir=tmp_path / "bank", on_error="raise")
    assert not (tmp_path / "bank").exists()


@pytest.mark.parametrize("size, shown", [((4000, 4), "4000 x 4"), ((4, 4000), "4 x 4000")])
def test_an_image_that_is_too_narrow_is_refused_by_item_number(build, tmp_path, size, shown):
    items = [MemoryItem(image=make_image(0)), MemoryItem(image=make_image(1, size), id="line")]
    message = rf"Item 1 \(id 'line'\): its image is {shown} pixels; one side may be at most 200 times the other\."
    with pytest.raises(ValueError, match=message):
        build(items, output_dir=tmp_path / "bank", on_error="raise")
    assert not (tmp_path / "bank").exists()
    assert len(build([MemoryItem(image=make_image(1, (800, 4)))], output_dir=tmp_path / "bank")) == 1


def test_vectors_that_are_not_finite_are_refused_by_item(build, items, model, monkeypatch, tmp_path):
    encode = model.encode_memory
    monkeypatch.setattr(model, "encode_memory", lambda inputs: encode(inputs).index_fill(0, torch.tensor([1]), 1e30))
    with pytest.raises(ValueError, match=r"Item 1 \(id 'item-1'\): its vectors in float16 are not finite"):
        build(items, output_dir=tmp_path / "bank", dtype="float16", batch_size=3, on_error="raise")


def with_exif(exif: bytes) -> bytes:
    buffer = io.BytesIO()
    make_image(5).save(buffer, format="JPEG", exif=b"Exif\0\0" + exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "exif",
    [
        b"\xff\xff\xff\xff\x00\x00\x00\x08",  # no TIFF header
        b"II*\x00\x08\x00\x00\x00\x02\x00\x12\x01\x03\x00",  # ends in its first tag
        b"II*\x00\x08\x00\x00\x00\x01\x00\x1a\x01\x05\x00\x01\x00\x00\x00\xff\xff\xff\x7f",  # dpi is nowhere
        b"II",
    ],
)
def test_damaged_exif_ends_no_build(build, exif, items, tmp_path):
    picture = tmp_path / "odd.jpg"
    picture.write_bytes(with_exif(exif))
    bank = build([*items[:2], MemoryItem(image=picture, id="odd"), *items[2:]], output_dir=tmp_path / "bank")
    assert set(bank.ids) - {"odd"} == {item.id for item in items}
    assert all(entry["reason"].startswith(f"'{picture}': its image") for entry in read_skipped(bank.folder))


def marked_items() -> list[MemoryItem]:
    return [MemoryItem(image=make_image(seed), text="Z" if seed == 2 else "a", id=str(seed)) for seed in range(5)]


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("unhashable"), AssertionError(), RecursionError("deep")])
@pytest.mark.parametrize("place", ["processor", "model", "picture"])
def test_whatever_an_item_raises_costs_that_item(place, error, build, model, tiny_processor, monkeypatch, tmp_path):
    [mark] = tiny_processor.tokenizer("Z")["input_ids"]
    process, encode, load = tiny_processor.process_memories, model.encode_memory, decoding.load_image

    def process_or_fail(memories):
        if place == "processor" and any(item.text == "Z" for row in memories for item in row):
            raise error
        return process(memories)

    def encode_or_fail(inputs):
        if place == "model" and (inputs["input_ids"] == mark).any():
            raise error
        return encode(inputs)

    def load_or_fail(image, name, **options):
        picture = load(image, name, **options)
        if place == "picture" and picture.tobytes() == make_image(2).tobytes():
            raise error
        return picture

    monkeypatch.setattr(tiny_processor, "process_memories", process_or_fail)
    monkeypatch.setattr(model, "encode_memory", encode_or_fail)
    monkeypatch.setattr(decoding, "load_image", load_or_fail)
    bank = build(marked_items(), output_dir=tmp_path / "bank", batch_size=5, shard_size=5)
    assert bank.ids == ["0", "1", "3", "4"]
    [skipped] = read_skipped(bank.folder)
    assert skipped["reason"].startswith("Item 2 (id '2'): ") and type(error).__name__ in skipped["reason"]


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        MemoryError(),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("CUDA error: device-side assert triggered"),
    ],
    ids=["interrupt", "memory", "disk", "accelerator"],
)
def test_what_is_no_fault_of_an_item_ends_the_build(error, build, tiny_processor, monkeypatch, tmp_path):
    def fail(memories):
        raise error

    monkeypatch.setattr(tiny_processor, "process_memories", fail)
    with pytest.raises(type(error)):
        build(marked_items(), output_dir=tmp_path / "bank")


def test_a_token_that_the_model_lacks_costs_the_items_that_have_it(build, model, tiny_processor, tmp_path):
    processor = copy.deepcopy(tiny_processor)
    processor.tokenizer.add_tokens([f"<added {number}>" for number in range(20)])
    items = [MemoryItem(image=make_image(seed), text=f"A <added {10 * seed}>.", id=str(seed)) for seed in range(2)]
    bank = build(items, output_dir=tmp_path / "bank", processor=processor)
    assert bank.ids == ["0"]
    [skipped] = read_skipped(bank.folder)
    assert skipped["reason"] == (
        "Item 1 (id '1'): its text has the token '<added 10>' (number 273), but the model has only 272 tokens: the "
        "tokenizer was extended and the model was not."
    )
