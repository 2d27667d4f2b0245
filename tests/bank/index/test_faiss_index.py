"""The index: kinds by size, what they find, and ids that stay."""

import faiss
import numpy as np
import pytest

from comem_hf.bank.index.build_index import build_index
from comem_hf.bank.index.faiss_index import FaissIndex
from comem_hf.bank.index.index import Selection, unit_rows
from tests.bank.index.conftest import METRICS, NUMBER, SIZE, exact, recall


KINDS = ("Flat", "SQ8", "HNSW16", "IVF16,Flat", "IVF16,SQ8", "RR16,IVF16,Flat")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", KINDS)
def test_every_kind_finds_what_exact_search_finds(embeddings, vectors, factory, metric, tmp_path):
    index, found = build_index(embeddings, metric, factory)
    assert (found["factory"], len(index), index.embedding_size) == (factory, NUMBER, SIZE)
    assert found["recall"] >= 0.9
    index.save(tmp_path / "index.faiss")
    index = FaissIndex.load(tmp_path / "index.faiss", metric, found["nprobe"])
    scores, ids = index.search(vectors[:100], 10)
    expected, rows = exact(vectors[:100], vectors, metric, 10)
    assert recall(ids, rows) >= 0.9
    assert (np.diff(scores, axis=1) <= 1e-6).all()
    if factory == "Flat":
        np.testing.assert_array_equal(ids, rows)
        np.testing.assert_allclose(scores, expected, atol=1e-2 if metric == "l2" else 1e-5)


@pytest.mark.parametrize("factory", KINDS)
@pytest.mark.parametrize("wanted", [1, 20, 1500])
def test_a_selection_gives_as_many_hits_as_it_holds_and_the_nearest(embeddings, vectors, factory, wanted):
    index, _ = build_index(embeddings, "cosine", factory)
    mask = np.zeros(NUMBER, dtype=bool)
    mask[np.random.default_rng(1).choice(NUMBER, wanted, replace=False)] = True
    _, ids = index.search(vectors[:50], 30, Selection.of(mask))
    assert ids.shape == (50, min(30, wanted))
    assert mask[ids].all()
    assert recall(ids, np.flatnonzero(mask)[exact(vectors[:50], vectors[mask], "cosine", 30)[1]]) >= 0.9


def test_an_empty_selection_has_no_hits(embeddings, vectors):
    index, _ = build_index(embeddings, "cosine", "IVF16,Flat")
    assert index.search(vectors[:2], 5, Selection.of(np.zeros(NUMBER, dtype=bool)))[1].shape == (2, 0)


def test_more_hits_than_a_few_lists_hold_are_found(embeddings, vectors):
    index, _ = build_index(embeddings, "cosine", "IVF16,Flat")
    index.nprobe = 1
    _, ids = index.search(vectors[:3], NUMBER)
    assert all(set(row) == set(range(NUMBER)) for row in ids.tolist())


@pytest.mark.parametrize("factory", KINDS)
def test_ids_stay_when_vectors_are_added(embeddings, vectors, factory, tmp_path):
    build_index(embeddings, "cosine", factory)[0].save(tmp_path / "first.faiss")
    index = FaissIndex.load(tmp_path / "first.faiss", "cosine", nprobe=16, writable=True)
    added = (vectors[:10] + vectors[10:20]) / 2
    index.add(added, np.arange(NUMBER, NUMBER + 10))
    assert len(index) == NUMBER + 10
    index.save(tmp_path / "index.faiss")
    for writable in (False, True):
        opened = FaissIndex.load(tmp_path / "index.faiss", "cosine", 16, writable)
        np.testing.assert_allclose(opened.vectors(NUMBER, 10), unit_rows(added), atol=0.2)
        _, ids = opened.search(np.concatenate([vectors[[1, 999]], added[[4]]]), 1)
        assert ids.ravel().tolist() == [1, 999, NUMBER + 4]


@pytest.mark.parametrize("factory", ["Flat", "HNSW16", "SQ8"])
def test_an_index_that_numbers_its_vectors_itself_takes_only_the_next_id(embeddings, factory):
    index, _ = build_index(embeddings, "cosine", factory)
    with pytest.raises(ValueError, match="numbers its vectors itself: the next id must be 3000"):
        index.add(np.ones((1, SIZE), np.float32), np.array([7]))


def test_an_index_opened_for_reading_is_not_changed(embeddings, vectors, tmp_path):
    build_index(embeddings, "cosine", "IVF16,Flat")[0].save(tmp_path / "index.faiss")
    index = FaissIndex.load(tmp_path / "index.faiss", "cosine")
    for change in (
        lambda: index.add(vectors[:1], np.array([NUMBER])),
        lambda: index.save(tmp_path / "second.faiss"),
    ):
        with pytest.raises(ValueError, match="opened for reading; open it with `writable=True`"):
            change()


def test_inverted_lists_are_mapped_not_read(embeddings, tmp_path):
    build_index(embeddings, "cosine", "IVF16,Flat")[0].save(tmp_path / "index.faiss")
    index = FaissIndex.load(tmp_path / "index.faiss", "cosine")
    lists = faiss.extract_index_ivf(index._faiss).invlists
    assert isinstance(faiss.downcast_InvertedLists(lists), faiss.OnDiskInvertedLists)
