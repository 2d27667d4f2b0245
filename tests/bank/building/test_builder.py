"""Building a bank: what is stored, and what is refused."""

import errno
import json

import PIL.Image
import pytest
import torch

from comem_hf import CoMemForConditionalGeneration, MemoryBank, MemoryItem
from tests.bank.conftest import contents
from tests.conftest import make_image


def test_stored_vectors_are_those_of_the_memory_encoder(bank, items, model, tiny_processor):
    with torch.no_grad():
        expected = model.encode_memory(tiny_processor.process_memories([items]))
    stored = bank.memory_inputs([[item.id for item in items]])["memory_embeds"][0]
    torch.testing.assert_close(stored, expected, atol=1e-5, rtol=1e-5)


def test_items_come_back_as_they_went_in(bank, items):
    assert len(bank) == len(items)
    for item in items:
        stored = bank[item.id]
        assert (stored.text, stored.id, stored.metadata) == (item.text, item.id, item.metadata)
        assert stored.load_image().tobytes() == item.image.tobytes()


def test_the_folder_holds_exactly_the_documented_files(bank):
    names = {path.name for path in bank.folder.iterdir()}
    shards = {f"{kind}-0000{shard}.{end}" for shard in range(3) for kind, end in SHARD_FILES}
    assert names == {"bank_config.json", "index.faiss", "words.safetensors", "README.md"} | shards
    listed = json.loads((bank.folder / "bank_config.json").read_text())["files"]
    assert set(listed) == names - {"bank_config.json"}
    assert not bank.folder.with_name("bank.unfinished").exists()


def test_the_licence_is_kept_and_on_the_card(build, items, tmp_path):
    bank = build(items[:2], output_dir=tmp_path / "bank", license="cc-by-sa-4.0")
    assert MemoryBank.from_pretrained(bank.folder).config.license == "cc-by-sa-4.0"
    card = (bank.folder / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-sa-4.0\n") and "| licence of the items | `cc-by-sa-4.0` |" in card
    bank.remove(["item-0"])
    assert bank.config.license == "cc-by-sa-4.0"


@pytest.mark.parametrize("license", ["CC BY 4.0", "", "a\nb", 4])
def test_a_licence_that_is_no_identifier_is_refused_before_anything_is_encoded(build, tmp_path, license):
    with pytest.raises(ValueError, match="`license` must be an identifier of the Hub, such as 'cc-by-sa-4.0', got"):
        build(iter(lambda: pytest.fail("read"), None), output_dir=tmp_path / "bank", license=license)
    assert not list(tmp_path.iterdir())


SHARD_FILES = (("memory", "safetensors"), ("items", "parquet"))


def test_bytes_of_image_files_are_stored_as_they_are(build, tmp_path):
    picture = make_image(3, (60, 40))
    picture.save(tmp_path / "picture.jpg", quality=60)
    bank = build(
        [
            MemoryItem(image=tmp_path / "picture.jpg", id="path"),
            MemoryItem(image=(tmp_path / "picture.jpg").read_bytes(), id="bytes"),
        ],
        output_dir=tmp_path / "bank",
    )
    for item_id in ("path", "bytes"):
        assert bank[item_id].image.format == "JPEG"
        assert bank[item_id].load_image().tobytes() == PIL.Image.open(tmp_path / "picture.jpg").tobytes()
    stored = bank.memory_inputs([["path", "bytes"]])["memory_embeds"][0]
    torch.testing.assert_close(stored[0], stored[1])


def test_transparent_and_palette_images_are_stored_without_loss(build, tmp_path):
    images = {mode: make_image(2).convert(mode) for mode in ("RGBA", "P", "L", "CMYK")}
    images["RGBA"].putalpha(100)
    bank = build([MemoryItem(image=image, id=mode) for mode, image in images.items()], output_dir=tmp_path / "bank")
    for mode, image in images.items():
        assert bank[mode].image.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
        assert bank[mode].load_image().tobytes() == MemoryItem(image=image).load_image().tobytes()


def test_items_without_id_get_one_from_their_content(build, tmp_path):
    items = [MemoryItem(image=make_image(seed), text=text) for seed, text in ((0, "a"), (0, "b"), (1, "a"), (1, None))]
    first = build(items, output_dir=tmp_path / "first").ids
    second = build(reversed(items), output_dir=tmp_path / "second").ids
    assert first == second[::-1]
    assert len(set(first)) == 4


def test_items_may_come_from_a_generator_and_as_mappings(build, items, bank, tmp_path):
    assert build((vars(item) for item in items), output_dir=tmp_path / "bank").ids == bank.ids


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_vectors_are_stored_in_the_dtype_asked_for(build, items, bank, dtype, tmp_path):
    small = build(items, output_dir=tmp_path / "bank", dtype=dtype)
    stored, exact = (each.memory_inputs([bank.ids])["memory_embeds"] for each in (small, bank))
    assert stored.dtype == getattr(torch, dtype)
    torch.testing.assert_close(stored.float(), exact, atol=0.02, rtol=0.02)
    assert small.memory_inputs([bank.ids], dtype=torch.float32)["memory_embeds"].dtype == torch.float32


def test_a_build_goes_on_after_a_bad_image_is_repaired(build, tmp_path):
    items = [MemoryItem(image=make_image(seed), id=str(seed)) for seed in range(4)]
    items.append(MemoryItem(image=tmp_path / "late.png", id="late"))
    with pytest.raises(ValueError, match="Item 4"):
        build(items, output_dir=tmp_path / "bank", on_error="raise")
    make_image(9).save(tmp_path / "late.png")
    assert len(build(items, output_dir=tmp_path / "bank")) == 5


@pytest.mark.parametrize(
    "item, message",
    [
        (
            MemoryItem(text="Only text."),
            r"Item 1: it has no image. The memory bank finds items by their picture only \(embedder 'backbone'\)",
        ),
        (
            MemoryItem(image=make_image(1), id="same"),
            r"Item 1 \(id 'same'\): item 0 already has its id 'same'\.",
        ),
        (MemoryItem(image=make_image(1), metadata={"x": object()}), r"Item 1: `metadata` cannot be written as JSON"),
        (MemoryItem(image=make_image(1), metadata=["x"]), r"Item 1: `metadata` must be a dict, got list"),
        (MemoryItem(image=make_image(1), id=""), r"Item 1 \(id ''\): `id` must be a non-empty string, got ''"),
        ("text", r"Item 1: A memory item must be a MemoryItem or a mapping of its fields, got 'text'"),
    ],
)
def test_an_unusable_item_is_refused_by_number(build, tmp_path, item, message):
    with pytest.raises(ValueError, match=message):
        build([MemoryItem(image=make_image(0), id="same"), item], output_dir=tmp_path / "bank", on_error="raise")
    assert not (tmp_path / "bank").exists()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"batch_size": 0}, "`batch_size` must be a positive integer, got 0"),
        ({"dtype": "int3"}, "`dtype` must be one of float32, bfloat16, float16, int8, int4, got 'int3'"),
        ({"shard_size": 0}, "`shard_size` must be a positive integer, got 0"),
        ({"on_error": "ignore"}, "`on_error` must be 'skip' or 'raise', got 'ignore'"),
    ],
)
def test_settings_out_of_range_are_refused(build, items, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        build(items, output_dir=tmp_path / "bank", **settings)
    assert not list(tmp_path.iterdir())


def test_no_items_make_no_bank(build, tmp_path):
    with pytest.raises(ValueError, match="There are no items"):
        build([], output_dir=tmp_path / "bank")
    assert not list(tmp_path.iterdir())


def test_a_bank_is_replaced_only_when_told_to(build, items, tmp_path):
    build(items[:2], output_dir=tmp_path / "bank")
    with pytest.raises(ValueError, match="already holds a memory bank; pass `overwrite=True` to replace it"):
        build(items, output_dir=tmp_path / "bank")
    assert len(MemoryBank.from_pretrained(tmp_path / "bank")) == 2
    assert len(build(items, output_dir=tmp_path / "bank", overwrite=True)) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_a_folder_with_other_files_is_never_replaced(build, items, tmp_path):
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "thesis.tex").write_text("...")
    with pytest.raises(ValueError, match="is not empty and holds no memory bank; choose another folder"):
        build(items, output_dir=tmp_path / "bank", overwrite=True)
    assert (tmp_path / "bank" / "thesis.tex").exists()


def test_a_bank_names_the_repository_and_commit_of_its_model(hub, model, items, tiny_processor, tmp_path):
    model.push_to_hub("ann/model")
    loaded = CoMemForConditionalGeneration.from_pretrained("ann/model")
    bank = MemoryBank.build(items[:1], model=loaded, processor=tiny_processor, output_dir=tmp_path / "bank")
    commit = hub.repositories["model", "ann/model"].branches["main"]
    assert bank.config.model == {"id": "ann/model", "revision": commit}
    assert MemoryBank.build(
        items[:1], model=model, processor=tiny_processor, output_dir=tmp_path / "of-a-model-without-a-name"
    ).config.model == {"id": None, "revision": None}


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device"), MemoryError])
def test_a_build_that_ends_while_it_calibrates_goes_on_and_makes_the_same_bank(build, tmp_path, monkeypatch, end):
    items = [MemoryItem(image=make_image(seed), text=f"Fact {seed}.", id=f"item-{seed}") for seed in range(12)]
    expected = build(items, output_dir=tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr("comem_hf.bank.building.builder.fit_calibration", lambda *_: raise_(end))
        with pytest.raises(end if isinstance(end, type) else type(end)):
            build(items, output_dir=tmp_path / "bank")
    assert not (tmp_path / "bank").exists()
    with monkeypatch.context() as patch:
        patch.setattr(
            "comem_hf.bank.encoding.item_encoder.ItemEncoder.encode", lambda *_: pytest.fail("encoded again")
        )
        bank = build(items, output_dir=tmp_path / "bank")
    assert bank.is_calibrated and contents(bank.folder) == contents(expected.folder)


def raise_(error):
    raise error
