"""Indexes without some of their vectors: the others keep scores and order."""

import numpy as np
import pytest

from comem_hf.bank.index.faiss_index import FaissIndex
from comem_hf.bank.index.index import Selection


SIZE, COUNT = 16, 400


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((COUNT, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def live() -> np.ndarray:
    return np.random.default_rng(1).random(COUNT) < 0.7


def make_index(factory: str, embeddings: np.ndarray, metric: str = "cosine") -> FaissIndex:
    index = FaissIndex.create(factory, SIZE, metric)
    if not index.is_trained:
        index.train(embeddings)
    for start in (0, 150):  # as a bank that was added to
        rows = np.arange(start, min(COUNT, start + 250) if start else 150)
        index.add(embeddings[rows], rows)
    return index


@pytest.mark.parametrize(
    "factory", ["Flat", "SQ8", "SQ4", "IVF8,Flat", "IVF8,SQ8", "OPQ4_16,IVF8,PQ4x4", "IVF8,PQ4x4"]
)
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_searches_find_the_rows_that_stay_with_the_same_scores(embeddings, live, factory, metric, tmp_path):
    index = make_index(factory, embeddings, metric)
    index.nprobe = 2 if index.num_lists else None
    scores, rows = index.search(embeddings[:50], 10, Selection.of(live))
    vectors = index.vectors(0, COUNT)[live]
    index.keep(live)
    index.save(tmp_path / "index.faiss")
    kept = FaissIndex.load(tmp_path / "index.faiss", metric, index.nprobe)
    found_scores, found = kept.search(embeddings[:50], 10)
    np.testing.assert_array_equal(found, np.where(rows >= 0, (np.cumsum(live) - 1)[rows], -1))
    np.testing.assert_array_equal(found_scores, scores)
    # A rotation that is undone rounds by the size of the batch.
    np.testing.assert_allclose(kept.vectors(0, int(live.sum())), vectors, rtol=0, atol=1e-6)
    assert len(kept) == live.sum() and kept.num_lists == index.num_lists


def test_a_graph_is_made_anew_and_is_the_same_each_time(embeddings, live, tmp_path):
    contents = []
    for name in ("first", "second"):
        index = make_index("HNSW8", embeddings)
        index.keep(live)
        index.save(tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    scores, rows = index.search(embeddings[live], 1)
    np.testing.assert_array_equal(rows[:, 0], np.arange(live.sum()))


def test_more_lists_are_searched_where_fewer_vectors_are_left(embeddings):
    index = make_index("IVF8,Flat", embeddings)
    index.nprobe = 2
    index.keep(np.arange(COUNT) % 2 == 0)
    assert index.nprobe == 4
    index.keep(np.arange(COUNT // 2) % 10 == 0)
    assert index.nprobe == 8  # there are no more


def test_an_index_that_is_open_for_reading_is_not_changed(embeddings, live, tmp_path):
    make_index("IVF8,Flat", embeddings).save(tmp_path / "index.faiss")
    with pytest.raises(ValueError, match="This index was opened for reading"):
        FaissIndex.load(tmp_path / "index.faiss", "cosine").keep(live)
