"""An index in parts: what one index finds, and parts that stay when others change."""

import numpy as np
import pytest

from comem_hf.bank.index.faiss_shards import FaissShards
from comem_hf.bank.index.index import Selection
from comem_hf.bank.index.kinds import make_index
from tests.bank.index.conftest import NUMBER, SIZE


@pytest.mark.parametrize("factory", ["IVF16,SQ8", "IVF16,Flat"])
def test_parts_find_exactly_what_one_index_finds(embeddings, vectors, factory, tmp_path):
    (tmp_path / "one").mkdir()
    one = make_index(tmp_path / "one", embeddings.paths, "cosine", factory)
    parts = make_index(tmp_path, embeddings.paths, "cosine", f"shards:4:{factory}")
    assert one.block["recall"] == parts.block["recall"] and one.block["nprobe"] == parts.block["nprobe"]
    opened = open_parts(tmp_path, parts.block)
    selection = Selection.of(np.arange(NUMBER) % 3 == 0)
    for among in (None, selection):
        expected = one.index.search(vectors[:50], 5, among)
        for index in (parts.index, opened):
            found = index.search(vectors[:50], 5, among)
            np.testing.assert_array_equal(found[1], expected[1])
            np.testing.assert_array_equal(found[0], expected[0])


def open_parts(folder, block, writable=False) -> FaissShards:
    paths = [folder / name for name in block["files"]]
    return FaissShards.load_parts(paths, block["rows_per_part"], "cosine", block["nprobe"], writable)


def test_adding_writes_the_last_part_and_new_ones_and_leaves_the_others(embeddings, vectors, tmp_path):
    made = make_index(tmp_path, embeddings.paths, "cosine", "shards:4:IVF16,Flat")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    index = open_parts(tmp_path, made.block, writable=True)
    added = np.random.default_rng(3).standard_normal((1000, SIZE), dtype=np.float32)
    index.add(added[:100], np.arange(NUMBER, NUMBER + 100))  # the parts are full: a new one begins
    block = index.write(made.block, 1, lambda name, save: save(tmp_path / name))
    index = open_parts(tmp_path, block, writable=True)
    index.add(added[100:], np.arange(NUMBER + 100, NUMBER + 1000))
    block = index.write(block, 2, lambda name, save: save(tmp_path / name))
    assert [name[6:] for name in block["files"]] == [
        *(f"00000-part-0000{part}.faiss" for part in range(4)),
        "00002-part-00004.faiss",
        "00002-part-00005.faiss",
    ]
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())
    index = open_parts(tmp_path, block)
    assert index.search(added[[0, 500, 999]], 1)[1].ravel().tolist() == [NUMBER, NUMBER + 500, NUMBER + 999]
    with pytest.raises(ValueError, match="opened for reading"):
        index.add(added, np.arange(1000))


def test_rows_are_dropped_of_all_parts_and_the_others_numbered_anew(embeddings, vectors, tmp_path):
    made = make_index(tmp_path, embeddings.paths, "cosine", "shards:4:IVF16,SQ8")
    live = np.random.default_rng(1).random(NUMBER) < 0.7
    live[:750] = False  # a whole part
    scores, rows = made.index.search(vectors[:50], 10, Selection.of(live))
    index = open_parts(tmp_path, made.block, writable=True)
    index.keep(live)
    block = index.write(made.block, 0, lambda name, save: save(tmp_path / name))
    assert len(block["files"]) == 3
    kept = open_parts(tmp_path, block)
    kept.nprobe = made.index.num_lists
    made.index.nprobe = made.index.num_lists
    scores, rows = made.index.search(vectors[:50], 10, Selection.of(live))
    found_scores, found = kept.search(vectors[:50], 10)
    np.testing.assert_array_equal(found, (np.cumsum(live) - 1)[rows])
    np.testing.assert_array_equal(found_scores, scores)
    np.testing.assert_array_equal(kept.vectors(0, int(live.sum())), made.index.vectors(0, NUMBER)[live])
