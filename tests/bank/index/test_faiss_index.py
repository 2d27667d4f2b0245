"""The index: kinds by size, what they find, and ids that stay."""

import faiss
import numpy as np
import pytest
from safetensors.numpy import save_file

from comem_hf.bank.index import build_index as building
from comem_hf.bank.index.build_index import StoredEmbeddings, build_index
from comem_hf.bank.index.default_factory import default_factory
from comem_hf.bank.index.faiss_index import FaissIndex
from comem_hf.bank.index.index import Selection, unit_rows


SIZE = 16
NUMBER = 3000
METRICS = ("cosine", "l2")
KINDS = ("Flat", "SQ8", "HNSW16", "IVF16,Flat", "IVF16,SQ8", "RR16,IVF16,Flat")


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Clusters, of vectors of different lengths."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((30, SIZE))
    return (centres[random.integers(0, 30, NUMBER)] + 0.4 * random.standard_normal((NUMBER, SIZE))).astype(np.float32)


@pytest.fixture(scope="module")
def embeddings(vectors, tmp_path_factory) -> StoredEmbeddings:
    folder = tmp_path_factory.mktemp("embeddings")
    paths = []
    for start in range(0, NUMBER, 700):
        paths.append(folder / f"{start}.safetensors")
        save_file({"embeddings": vectors[start : start + 700]}, paths[-1])
    return StoredEmbeddings(paths)


def exact(queries, vectors, metric: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and rows of the nearest vectors, by definition."""
    if metric == "cosine":
        scores = unit_rows(queries) @ unit_rows(vectors).T
    else:
        scores = -np.linalg.norm(queries[:, None] - vectors[None], axis=-1)
    rows = np.argsort(-scores, axis=1)[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows


def recall(found, expected) -> float:
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), expected.tolist(), strict=True)])


@pytest.mark.parametrize("vectors, size, factory", [
    (1, 512, "Flat"),
    (40_000, 512, "Flat"),
    (40_001, 512, "IVF1024,SQ8"),
    (1_000_000, 512, "IVF4096,SQ8"),
    (10_000_000, 512, "IVF16384,SQ8"),
    (37_500_000, 512, "IVF32768_HNSW32,SQ8"),
    (100_000_000, 512, "IVF32768_HNSW32,SQ8"),
    (100_000_001, 512, "OPQ128_512,IVF32768_HNSW32,PQ128"),
    (10**9, 5120, "OPQ128_512,IVF131072_HNSW32,PQ128"),
    (200_000_000, 30, "OPQ7_28,IVF65536_HNSW32,PQ7"),
    (200_000_000, 3, "OPQ1_3,IVF65536_HNSW32,PQ1"),
])  # fmt: skip
def test_the_kind_of_index_follows_from_the_number_of_vectors(vectors, size, factory):
    assert default_factory(vectors, size) == factory
    FaissIndex.create(factory, size, "cosine")


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


def test_the_fewest_lists_that_find_enough_are_chosen(embeddings, vectors):
    index, found = build_index(embeddings, "cosine", "IVF256,Flat")
    assert found["nprobe"] > 1 and found["recall"] >= 0.95
    index.nprobe //= 2
    _, rows = exact(vectors, vectors, "cosine", 11)
    assert recall(index.search(vectors, 11)[1], rows) < 0.96


def test_an_index_that_finds_too_little_is_built_with_a_warning(embeddings, monkeypatch):
    warnings = []
    monkeypatch.setattr(building.logger, "warning", warnings.append)
    _, found = build_index(embeddings, "cosine", "IVF16,PQ2")
    assert found["recall"] < 0.9
    assert len(warnings) == 1 and "less than 0.95; an `index_factory` with more bytes per vector" in warnings[0]


def test_equal_vectors_do_not_count_as_missed(tmp_path):
    random = np.random.default_rng(0)
    same = np.repeat(random.standard_normal((50, SIZE)).astype(np.float32), 40, axis=0)
    save_file({"embeddings": same}, tmp_path / "embeddings.safetensors")
    _, found = build_index(StoredEmbeddings([tmp_path / "embeddings.safetensors"]), "cosine", "IVF16,Flat")
    assert (found["nprobe"], found["recall"]) == (1, 1.0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale, offset", [(1, 0), (1000, 0), (1, 100)])
def test_an_index_that_looks_everywhere_is_said_to_find_everything(metric, scale, offset, tmp_path):
    vectors = np.random.default_rng(0).standard_normal((2000, 256), dtype=np.float32) * scale + offset
    save_file({"embeddings": vectors}, tmp_path / "embeddings.safetensors")
    _, found = build_index(StoredEmbeddings([tmp_path / "embeddings.safetensors"]), metric, "IVF1,Flat")
    assert found["recall"] > (0.98 if offset else 0.9999)  # FAISS, too, rounds small differences of large numbers


def test_the_same_embeddings_give_the_same_index(embeddings, tmp_path):
    for name in ("first", "second"):
        build_index(embeddings, "cosine", "IVF16,SQ8")[0].save(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize(
    "factory, message",
    [
        ("Rubbish", "`index_factory` 'Rubbish' makes no index for 16 numbers"),
        ("IVF16,PQ5", "`index_factory` 'IVF16,PQ5' makes no index for 16 numbers"),
        ("PQ4", "IndexPQ is no index of a bank: use Flat, SQ, IVF or HNSW, without an IDMap"),
        ("IDMap2,HNSW16", "IndexIDMap2 is no index of a bank"),
        ("IVF4096,Flat", "`index_factory` 'IVF4096,Flat' cannot be trained on 3000 vectors"),
    ],
)
def test_a_factory_string_of_no_use_is_refused(embeddings, factory, message):
    with pytest.raises(ValueError, match=message):
        build_index(embeddings, "cosine", factory)


def test_embeddings_are_read_by_rows_in_any_order(embeddings, vectors):
    rows = np.array([2999, 0, 700, 699, 0, 1400])
    np.testing.assert_array_equal(embeddings.take(rows), vectors[rows])
    read = list(embeddings)
    np.testing.assert_array_equal(np.concatenate([part for part, _ in read]), vectors)
    np.testing.assert_array_equal(np.concatenate([numbers for _, numbers in read]), np.arange(NUMBER))
