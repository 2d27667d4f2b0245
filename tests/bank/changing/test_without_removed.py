"""What was removed is in no copy of a bank, and searches of a copy find the same."""

import numpy as np
import pyarrow.parquet
import pytest
import torch
from safetensors.numpy import load_file

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.changing import without_removed as module
from tests.bank.conftest import contents
from tests.conftest import make_image


REMOVED = ["many-000", "many-001", "many-002", "many-013", "many-024", "many-099"]


@pytest.fixture(scope="module", params=["cosine", "l2"])
def many(request, model, tiny_processor, tmp_path_factory) -> MemoryBank:
    """A hundred items in shards of three."""
    items = [
        MemoryItem(image=make_image(seed), text=f"Secret {seed:03}.", id=f"many-{seed:03}", metadata={"n": seed})
        for seed in range(100)
    ]
    folder = tmp_path_factory.mktemp("banks") / "many"
    return MemoryBank.build(
        items, model=model, processor=tiny_processor, output_dir=folder, metric=request.param, shard_size=3
    )


def found(bank, queries, **options) -> list:
    """Ids, scores, texts and vectors of what searches find."""
    hits = bank.search(image=queries, k=9, **options)
    vectors = bank.memory_inputs(hits)["memory_embeds"]
    # A graph computes distances one or four at a time, which some processors round differently.
    rows = [[(hit.item.id, round(hit.score, 4), hit.item.text, hit.item.metadata) for hit in row] for row in hits]
    return rows, vectors


@pytest.mark.parametrize("factory", ["Flat", "SQ8", "IVF4,SQ8", "IVF4,Flat", "RR128,IVF2,Flat", "IVF2,PQ8x4", "HNSW8"])
def test_searches_of_a_copy_find_the_same_items_with_the_same_scores_and_vectors(
    model, tiny_processor, many, tmp_path, factory
):
    bank = MemoryBank.merge([many], tmp_path / "bank", index_factory=factory, shard_size=3)
    bank.remove(REMOVED)
    queries = [make_image(seed) for seed in range(0, 100, 25)]
    expected, vectors = found(bank, queries)
    bank.save_pretrained(tmp_path / "saved")
    copy = MemoryBank.from_pretrained(tmp_path / "saved", model=model, processor=tiny_processor)
    got, copied = found(copy, queries)
    assert got == expected
    assert torch.equal(copied, vectors)
    assert found(copy, queries, where={"n": {"$gte": 50}})[0] == found(bank, queries, where={"n": {"$gte": 50}})[0]
    assert copy.ids == bank.ids and copy.config.removed is None
    assert copy.config.shard_sizes == [3] * 3 + [2] + [3] * 3 + [2] + [3] * 24  # the first and the last shard are gone
    assert copy.verify()["removed"] == 0
    copy.add([MemoryItem(image=make_image(500), text="New.", id="new")])
    assert copy.search(image=make_image(500), k=1)[0].item.id == "new"


def test_nothing_of_what_was_removed_is_left_in_the_files_of_a_copy(mine, items, tmp_path):
    secret = next(hit for hit in mine.search(image=items[4].image, k=1))
    picture = mine._state.items.read_records([4])[0].image
    vectors = mine.memory_inputs([[secret]])["memory_embeds"].numpy().ravel()
    embedding = mine._state.index.vectors(4, 1).ravel()
    mine.remove(["item-4"])
    mine.save_pretrained(tmp_path / "saved")
    for folder, stays in ((mine.folder, True), (tmp_path / "saved", False)):
        tables = [pyarrow.parquet.read_table(path).to_pylist() for path in sorted(folder.glob("items-*.parquet"))]
        rows = [row for table in tables for row in table]
        assert ("item-4" in [row["id"] for row in rows]) is stays
        assert (picture in [row["image"]["bytes"] for row in rows]) is stays
        memories = [load_file(path)["memory"].reshape(-1, vectors.size) for path in folder.glob("memory-*")]
        assert np.any([np.allclose(row, vectors) for rows in memories for row in rows]) == stays
        assert (embedding.tobytes() in (folder / "index.faiss").read_bytes()) is stays
        assert ((folder / "removed-00001.safetensors").exists()) is stays
    assert "# Memory bank of 6 items" in (tmp_path / "saved" / "README.md").read_text()


def test_files_without_removed_items_are_copied_as_they_are(mine, tmp_path):
    mine.remove(["item-4"])
    mine.save_pretrained(tmp_path / "saved")
    before, after = contents(mine.folder), contents(tmp_path / "saved")
    same = {name for name in after if after[name] == before.get(name)}
    shards = {f"{kind}-0000{shard}" for kind in ("items", "memory") for shard in (0, 2)}
    assert {name.split(".")[0] for name in same} == shards
    hit = mine.search(image=make_image(1), k=1)[0]
    copy = MemoryBank.from_pretrained(tmp_path / "saved")
    assert copy.memory_inputs([[hit]])["memory_embeds"].shape[1] == 1  # its shard is the same


def test_an_edited_card_comes_along(mine, tmp_path):
    (mine.folder / "README.md").write_text("My own words.")
    mine.remove(["item-4"])
    mine.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "README.md").read_text() == "My own words."


@pytest.mark.parametrize(
    "name", ["index.faiss", "words-00001.safetensors", "memory-00001.safetensors", "items-00001.parquet"]
)
def test_a_damaged_file_is_not_written_anew_under_a_good_checksum(copy, tmp_path, monkeypatch, name):
    monkeypatch.setattr("comem_hf.bank.opened.state.HASHED_AT_OPENING", 0)  # as of a bank too large to be hashed
    bank = MemoryBank.from_pretrained(copy)
    bank.remove(["item-4"])
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}' is damaged"):
        bank.save_pretrained(tmp_path / "second")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_one_shard_is_in_memory_at_a_time(mine, tmp_path, monkeypatch):
    mine.remove(["item-0", "item-4"])
    written, write_items = [], module.write_items
    monkeypatch.setattr(
        module, "write_items", lambda path, records: (written.append(len(records)), write_items(path, records))
    )
    mine.save_pretrained(tmp_path / "saved")
    assert written == [2, 2]


def test_a_copy_for_which_there_is_no_room_leaves_nothing_behind(mine, tmp_path, monkeypatch):
    def full(path, records):
        raise OSError(28, "No space left on device")

    mine.remove(["item-4"])
    monkeypatch.setattr(module, "write_items", full)
    with pytest.raises(OSError, match="No space left to write .*; free some space and try again"):
        mine.save_pretrained(tmp_path / "second")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
