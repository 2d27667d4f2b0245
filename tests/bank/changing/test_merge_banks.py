"""Merging banks, and leaving behind what has been removed."""

import numpy as np
import pytest
import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.changing import merge_banks
from comem_hf.bank.index import kinds
from comem_hf.files import whole_file
from tests.bank.conftest import change_config
from tests.conftest import make_image


@pytest.fixture(scope="session")
def new_items() -> list[MemoryItem]:
    return [MemoryItem(image=make_image(seed), text=f"New fact {seed}.", id=f"new-{seed}") for seed in range(20, 25)]


@pytest.fixture(scope="session")
def second(build, items, new_items, tmp_path_factory) -> MemoryBank:
    """A bank that has two items in common with the first."""
    return build([items[1], *new_items, items[5]], output_dir=tmp_path_factory.mktemp("banks") / "second")


def data(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_merged_banks_are_the_bank_of_all_items(bank, second, build, items, new_items, tmp_path):
    merged = MemoryBank.merge([bank, second.folder], tmp_path / "merged", shard_size=3)
    whole = build([*items, *new_items], output_dir=tmp_path / "whole")
    assert merged.ids == whole.ids
    assert merged.config.shard_sizes == whole.config.shard_sizes == [3, 3, 3, 3]
    assert data(merged.folder)["items-00003.parquet"] == data(whole.folder)["items-00003.parquet"]
    torch.testing.assert_close(
        merged.memory_inputs([merged.ids])["memory_embeds"], whole.memory_inputs([whole.ids])["memory_embeds"]
    )
    for item in (items[5], new_items[2]):
        found, expected = merged.search(image=item.image, k=5), whole.search(image=item.image, k=5)
        assert [hit.item.id for hit in found] == [hit.item.id for hit in expected]
        np.testing.assert_allclose([hit.score for hit in found], [hit.score for hit in expected], atol=1e-5)
    merged.verify()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "int4"])
def test_merging_one_bank_leaves_behind_what_was_removed(build, items, tmp_path, dtype):
    bank = build(items, output_dir=tmp_path / "bank", dtype=dtype)
    size = sum(path.stat().st_size for path in bank.folder.iterdir())
    bank.remove(["item-0", "item-3", "item-4", "item-5"])
    compact = MemoryBank.merge([bank], tmp_path / "compact")
    assert compact.ids == bank.ids == ["item-1", "item-2", "item-6"]
    assert (compact.config.num_rows, compact.config.removed, compact.config.generation) == (3, None, 0)
    memory = compact.memory_inputs([compact.ids])["memory_embeds"]
    assert torch.equal(memory, bank.memory_inputs([bank.ids])["memory_embeds"])
    assert b"item-3" in b"".join(data(bank.folder).values())
    assert b"item-3" not in b"".join(data(compact.folder).values())
    assert sum(path.stat().st_size for path in compact.folder.iterdir()) < size
    compact.verify()


def test_merging_leaves_the_banks_as_they_are(bank, second, tmp_path):
    before = data(bank.folder), data(second.folder)
    MemoryBank.merge([bank, second], tmp_path / "merged")
    assert (data(bank.folder), data(second.folder)) == before
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


@pytest.mark.parametrize("factory", ["IVF2,SQ8", "HNSW8", "RR128,IVF2,Flat"])
def test_embeddings_of_any_index_are_merged(bank, items, model, tiny_processor, tmp_path, monkeypatch, factory):
    monkeypatch.setattr(merge_banks, "_BLOCK", 64)
    settings = {"model": model, "processor": tiny_processor}
    many = [MemoryItem(image=make_image(seed), text="A fact.", id=f"many-{seed}") for seed in range(100, 340)]
    other = MemoryBank.build(many, output_dir=tmp_path / "other", index_factory=factory, batch_size=32, **settings)
    other.remove([f"many-{seed}" for seed in range(100, 200)])
    merged = MemoryBank.merge([other, bank], tmp_path / "merged")
    assert merged.config.index["factory"] == "Flat" and len(merged) == 147
    for item in (many[100], many[127], many[128], many[-1], items[2]):
        hit = merged.search(image=item.image, k=1)[0]
        assert hit.item.id == item.id and hit.score > 0.99
    merged.verify()


def test_different_items_of_one_id_are_refused_or_the_first_is_taken(bank, build, tmp_path):
    other = build([MemoryItem(image=make_image(50), text="Other.", id="item-3")], output_dir=tmp_path / "other")
    with pytest.raises(ValueError, match="hold different items with id 'item-3': remove one of them, or pass"):
        MemoryBank.merge([bank, other], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    assert MemoryBank.merge([other, bank], tmp_path / "merged", on_conflict="first")["item-3"].text == "Other."


def test_a_bank_that_is_given_twice_gives_its_items_once(bank, tmp_path):
    merged = MemoryBank.merge([bank, bank], tmp_path / "merged")
    assert merged.ids == bank.ids
    merged.verify()


def test_a_single_bank_that_is_not_in_a_list_is_refused(bank, tmp_path):
    for single in (bank, bank.folder, str(bank.folder)):
        with pytest.raises(ValueError, match="`banks` must be a list of banks, got"):
            MemoryBank.merge(single, tmp_path / "merged")


def test_banks_that_are_not_alike_are_refused(bank, build, items, other_model, tiny_processor, tmp_path):
    other = MemoryBank.build(items, model=other_model, processor=tiny_processor, output_dir=tmp_path / "other")
    with pytest.raises(ValueError, match="can only be merged if they are alike, but `memory_fingerprint` is"):
        MemoryBank.merge([bank, other], tmp_path / "merged")
    short = build(items, output_dir=tmp_path / "short", dtype="float16")
    with pytest.raises(ValueError, match="but `memory_dtype` is 'float32' in .* and 'float16' in"):
        MemoryBank.merge([bank, short], tmp_path / "merged")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"banks": []}, "There are no banks to merge"),
        ({"on_conflict": "last"}, "`on_conflict` must be 'raise' or 'first', got 'last'"),
        ({"shard_size": 0}, "`shard_size` must be a positive integer, got 0"),
        ({"index_factory": "Rubbish"}, "`index_factory` 'Rubbish' makes no index"),
    ],
)
def test_what_cannot_be_merged_leaves_nothing_behind(bank, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        MemoryBank.merge(**{"banks": [bank], "output_dir": tmp_path / "merged", **arguments})
    assert not list(tmp_path.iterdir())


def test_a_bank_is_not_merged_over_other_files(bank, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`output_dir` .* is not empty; choose a new folder"):
        MemoryBank.merge([bank], tmp_path)


def test_the_licence_is_kept_if_all_banks_have_it(copy, second, tmp_path):
    second.save_pretrained(tmp_path / "second")
    change_config(copy, license="cc-by-4.0")
    assert MemoryBank.merge([copy], tmp_path / "one").config.license == "cc-by-4.0"
    assert MemoryBank.merge([copy, tmp_path / "second"], tmp_path / "both").config.license is None


@pytest.mark.parametrize("name", ["items-00001.parquet", "embeddings-00002.safetensors", "index.faiss"])
def test_a_full_disk_while_merging_leaves_nothing_behind(bank, tmp_path, monkeypatch, name):
    write_durably = whole_file.write_durably

    def full(path, write):
        def no_space(unfinished):
            raise RuntimeError("write failed: No space left on device")  # as FAISS and safetensors say it

        return write_durably(path, no_space if path.name == name else write)

    for module in (merge_banks, kinds):
        monkeypatch.setattr(module, "write_durably", full)
    with pytest.raises(OSError, match="No space left to write .*; free some space and try again"):
        MemoryBank.merge([bank], tmp_path / "merged", shard_size=2)
    assert not list(tmp_path.iterdir())
