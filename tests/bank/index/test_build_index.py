"""Indexes that are built: trained, calibrated, and the same from the same embeddings."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from comem_hf.bank.index import build_index as building
from comem_hf.bank.index.build_index import StoredEmbeddings, build_index
from tests.bank.index.conftest import METRICS, NUMBER, SIZE, exact, recall


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
