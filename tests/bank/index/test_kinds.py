"""Every kind of index: what it finds, what filters leave, and what it refuses before any work."""

import builtins
import socket

import numpy as np
import pytest

from comem_hf.bank.index.index import Selection, unit_rows
from comem_hf.bank.index.kinds import IndexKind, MadeIndex, make_index
from comem_hf.modeling.installation_comem import how_to_install
from tests.bank.index.conftest import METRICS, NUMBER, exact, recall


KINDS = (
    *((kind, metric) for kind in ("IVF16,SQ8", "lancedb") for metric in METRICS),
    ("shards:3", "l2"),
    ("shards:3:IVF16,SQ8", "cosine"),
    ("lancedb with lists", "cosine"),
)


@pytest.fixture(scope="module", params=KINDS, ids=str)
def made(request, embeddings, tmp_path_factory) -> MadeIndex:
    kind, metric = request.param
    with pytest.MonkeyPatch.context() as patch:
        if "lists" in kind:
            patch.setattr("comem_hf.bank.index.kinds.EXACT_UP_TO", 1000)
        return make_index(tmp_path_factory.mktemp("index"), embeddings.paths, metric, kind.split(" ")[0])


def test_every_kind_finds_what_exact_search_finds(made, vectors):
    index = made.index
    assert (len(index), index.embedding_size, made.block["recall"] >= 0.95) == (NUMBER, vectors.shape[1], True)
    scores, ids = index.search(vectors[:40] + 0.1, 10)
    expected, rows = exact(vectors[:40] + 0.1, vectors, index.metric, 10)
    assert recall(ids, rows) >= 0.9 and (np.diff(scores, axis=1) <= 1e-6).all()
    if made.block["recall"] == 1:
        np.testing.assert_array_equal(ids, rows)
        np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("wanted", [0, 1, 20, 1500])
def test_a_selection_gives_as_many_hits_as_it_holds_and_the_nearest(made, vectors, wanted, monkeypatch):
    monkeypatch.setattr("comem_hf.bank.index.lance_index._COMPARED", 100)
    mask = np.zeros(NUMBER, dtype=bool)
    mask[np.random.default_rng(1).choice(NUMBER, wanted, replace=False)] = True
    _, ids = made.index.search(vectors[:20], 30, Selection.of(mask))
    assert ids.shape == (20, min(30, wanted)) and mask[ids].all()
    if wanted:
        found = exact(vectors[:20], vectors[mask], made.index.metric, 30)[1]
        assert recall(ids, np.flatnonzero(mask)[found]) >= 0.9


def test_a_selection_of_what_is_far_away_is_found_too(made, vectors, monkeypatch):
    monkeypatch.setattr("comem_hf.bank.index.lance_index._COMPARED", 0)
    farthest = exact(vectors[:1], vectors, made.index.metric, NUMBER)[1][0, -5:]
    mask = np.zeros(NUMBER, dtype=bool)
    mask[farthest] = True
    assert sorted(made.index.search(vectors[:1], 9, Selection.of(mask))[1][0]) == sorted(farthest)


def test_vectors_are_read_by_rows(made, vectors):
    index, rows = made.index, vectors[990:1020]  # over the end of a part
    expected = unit_rows(rows) if index.metric == "cosine" else rows
    np.testing.assert_allclose(index.vectors(990, 30), expected, atol=0.05)
    with pytest.raises(ValueError, match="lacks ids between 2990 and 3009"):
        index.vectors(2990, 20)


@pytest.mark.parametrize(
    "index_factory, message",
    [
        ("shards", "'shards' must give a number of parts, such as 'shards:4'"),
        ("shards:0:IVF4,Flat", "must give a number of parts"),
        (4, "`index_factory` must be a string such as 'IVF4096,SQ8', got 4"),
        ("lancedb:s3://key:secret@bucket/bank", "`index_factory` holds a secret, which would be written into"),
        ("lancedb:db://bank?api_key=sk-1", "`index_factory` holds a secret"),
    ],
)
def test_what_no_index_can_be_made_of_is_refused_without_showing_a_secret(index_factory, message):
    with pytest.raises(ValueError, match=message) as refused:
        IndexKind.of(index_factory)
    assert "sk-1" not in str(refused.value) and "secret@" not in str(refused.value)


def test_parts_without_ids_are_refused(embeddings, tmp_path):
    with pytest.raises(ValueError, match="needs inverted lists: `IVF1,Flat` is the exact one"):
        make_index(tmp_path, embeddings.paths, "l2", "shards:2:HNSW8")


def test_a_missing_library_a_missing_key_and_a_server_that_is_down_are_one_sentence(tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{probe.getsockname()[1]}"
    kind = IndexKind.of("lancedb:db://bank")
    monkeypatch.delenv("LANCEDB_API_KEY", raising=False)
    with pytest.raises(ValueError, match="'db://bank' needs a key: set the environment variable LANCEDB_API_KEY"):
        kind.check(tmp_path)
    monkeypatch.setenv("LANCEDB_API_KEY", "sk-1")
    monkeypatch.setenv("LANCEDB_HOST", host)
    monkeypatch.setenv("LANCE_CLIENT_CONNECT_RETRIES", "0")
    with pytest.raises(OSError, match="the database 'db://bank' does not answer as it should") as down:
        kind.check(tmp_path)
    assert "\n" not in str(down.value) and "sk-1" not in str(down.value)
    imported = builtins.__import__

    def without(name, *arguments, **options):
        if name == "lancedb":
            raise ImportError(name)
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="needs LanceDB: ") as missing:
        kind.check(tmp_path)
    assert how_to_install("lancedb") in str(missing.value)
