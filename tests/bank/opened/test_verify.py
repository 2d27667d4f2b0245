"""Verifying banks: whatever is wrong is found and named, though the checksums agree."""

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from comem_hf import MemoryBank
from comem_hf.bank.opened import state
from tests.bank.conftest import replace_file


def change_items(folder, shard, image=None, **fields):
    """Give the first item of a shard other fields, or its image another content or name."""
    name = f"items-{shard:05d}.parquet"
    table = pq.read_table(folder / name)
    rows = table.to_pylist()
    rows[0] |= fields
    rows[0]["image"] |= image or {}
    changed = pa.Table.from_pylist(rows, schema=table.schema)
    replace_file(folder, name, lambda path: pq.write_table(changed, path))


def test_a_report_says_what_was_verified(bank, copy, model, tiny_processor):
    size = sum(bank.config.files[name]["size"] for name in bank.config.data_files())
    expected = {"generation": 0, "items": 7, "removed": 0, "shards": 3, "files": 8, "bytes": size, "model": True}
    assert bank.verify() == expected
    mine = MemoryBank.from_pretrained(copy)
    mine.remove(["item-1", "item-6"])
    report = mine.verify()
    assert {**report, "bytes": size} == {
        **expected,
        "generation": 1,
        "items": 5,
        "removed": 2,
        "files": 9,
        "model": False,
    }


@pytest.mark.parametrize(
    "name",
    [
        "index.faiss",
        "words-00001.safetensors",
        "removed-00001.safetensors",
        "memory-00001.safetensors",
        "items-00002.parquet",
    ],
)
def test_a_flipped_byte_in_any_file_of_a_large_bank_is_found(copy, monkeypatch, name):
    """Opening hashes small banks only."""
    MemoryBank.from_pretrained(copy).remove(["item-1"])
    monkeypatch.setattr(state, "HASHED_AT_OPENING", 0)
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}' is damaged"):
        MemoryBank.from_pretrained(copy).verify()


def test_a_damaged_page_of_items_is_named(copy, monkeypatch):
    """Its footer is whole, so that opening the file finds nothing."""
    monkeypatch.setattr(state, "HASHED_AT_OPENING", 0)
    content = bytearray((copy / "items-00001.parquet").read_bytes())
    content[4] ^= 0x10
    (copy / "items-00001.parquet").write_bytes(content)
    bank = MemoryBank.from_pretrained(copy)
    for use in (lambda: bank.ids, lambda: bank["item-4"]):
        with pytest.raises(ValueError, match="items-00001.parquet' is damaged: .*") as error:
            use()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("metadata", ["{", "[1]", "null"])
def test_metadata_that_is_no_object_is_found(copy, metadata):
    change_items(copy, 1, metadata=metadata)
    with pytest.raises(ValueError, match=r"Stored item 'item-\d': its metadata is no JSON object: '"):
        MemoryBank.from_pretrained(copy).verify()


@pytest.mark.parametrize("name", ["memory-00001.safetensors", "items-00002.parquet"])
def test_a_shard_that_is_lost_while_the_bank_is_open_is_named(copy, name):
    bank = MemoryBank.from_pretrained(copy)
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"is incomplete: {name} is missing"):
        bank.verify()


def test_an_id_that_is_there_twice_is_found(copy):
    change_items(copy, 1, id="item-0")
    bank = MemoryBank.from_pretrained(copy)
    for use in (bank.verify, lambda: bank["item-0"], lambda: bank.ids):
        with pytest.raises(ValueError, match="rows 0 and 3 both have the id 'item-0'"):
            use()


def test_an_id_may_be_that_of_a_removed_item(copy, model, tiny_processor, items):
    bank = MemoryBank.from_pretrained(copy, model=model, processor=tiny_processor)
    bank.remove(["item-1"])
    bank.add([items[1]])
    bank.verify()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_vectors_that_are_not_finite_are_found(copy, value):
    memory = torch.zeros(3, 8, 64)
    memory[1, 7, 63] = value
    replace_file(copy, "memory-00001.safetensors", lambda path: safetensors.torch.save_file({"memory": memory}, path))
    with pytest.raises(ValueError, match=r"Bank item 'item-4' \(row 4\) has memory vectors that are not finite"):
        MemoryBank.from_pretrained(copy).verify()


def test_an_embedding_that_is_not_finite_is_found(copy):
    embeddings = np.ones((7, 128), dtype=np.float32)
    embeddings[5, 0] = np.nan
    index = faiss.IndexFlatIP(128)
    index.add(embeddings)
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(index, str(path)))
    with pytest.raises(ValueError, match=r"Bank item 'item-5' \(row 5\) has an embedding that is not finite"):
        MemoryBank.from_pretrained(copy).verify()


def test_ids_of_an_index_that_are_no_rows_are_found(copy):
    index = faiss.index_factory(128, "IVF1,Flat", faiss.METRIC_INNER_PRODUCT)
    vectors = np.random.default_rng(0).standard_normal((50, 128)).astype(np.float32)
    index.train(vectors)
    index.add_with_ids(vectors[:7], np.array([0, 1, 2, 3, 4, 5, 700]))
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(index, str(path)))
    with pytest.raises(ValueError, match=r"Bank item 'item-6' \(row 6\) has an embedding that is not finite"):
        MemoryBank.from_pretrained(copy).verify()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"image": {"bytes": b"no image"}}, "Stored item 'item-3': its image of 8 bytes cannot be opened"),
        ({"metadata": "{"}, "Stored item 'item-3': "),
        ({"image": {"path": "../../etc/passwd"}}, r"'item-3' \(row 3\) refers to the image '../../etc/passwd'; an im"),
        ({"image": {"path": "..\\secret"}}, "refers to the image"),
        ({"image": {"bytes": None, "path": "secret.png"}}, "refers to the image 'secret.png'"),
    ],
)
def test_an_item_that_cannot_be_read_or_refers_to_other_files_is_found(copy, fields, message):
    change_items(copy, 1, **fields)
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(copy).verify()


def test_an_image_is_never_opened_by_its_name(copy, tmp_path, items):
    items[0].image.save(tmp_path / "secret.png")
    change_items(copy, 0, image={"bytes": None, "path": str(tmp_path / "secret.png")})
    assert MemoryBank.from_pretrained(copy)["item-0"].image is None


def test_a_model_that_has_changed_since_it_was_attached_is_found(bank, model, tiny_processor, monkeypatch):
    opened = MemoryBank.from_pretrained(bank.folder, model=model, processor=tiny_processor)
    opened.verify()
    monkeypatch.setattr(model, "memory_fingerprint", lambda: "changed")
    with pytest.raises(ValueError, match="weights of the model were changed since it was attached to .* is changed"):
        opened.verify()
