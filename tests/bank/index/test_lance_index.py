"""A table of a database beside the bank's own embeddings: states, strangers, and what writers leave."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from comem_hf.bank.index.build_index import StoredEmbeddings
from comem_hf.bank.index.kinds import make_index
from comem_hf.bank.index.lance_index import LanceIndex, LanceTable, forget_tables
from tests.bank.index.conftest import SIZE


@pytest.fixture
def made(vectors, tmp_path):
    save_file({"embeddings": vectors[:200]}, tmp_path / "given.safetensors")
    return make_index(tmp_path, [tmp_path / "given.safetensors"], "cosine", "lancedb")


def opened(folder, made, writable=False) -> LanceIndex:
    stored = StoredEmbeddings([folder / "embeddings-00000.safetensors"], True)
    table = LanceTable(folder, made.block["uri"], made.block["table"], "cosine")
    index = LanceIndex(table, stored, "cosine", writable=writable)
    index.check()
    return index


def test_rows_of_a_later_state_are_passed_over_and_those_of_a_dead_writer_removed(made, vectors, tmp_path):
    reader, writer = opened(tmp_path, made), opened(tmp_path, made, writable=True)
    later = np.repeat(vectors[:1], 40, axis=0)  # nearer to the query than anything else
    writer.add(later, np.arange(200, 240))
    assert len(writer) == 240 and writer.table.count() == 240
    expected = made.index.search(vectors[:1], 5)
    for index in (reader, opened(tmp_path, made)):
        found = index.search(vectors[:1], 5)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])
    assert opened(tmp_path, made, writable=True).table.count() == 200
    with pytest.raises(ValueError, match="opened for reading; open it with `writable=True`"):
        reader.add(later, np.arange(200, 240))


def test_a_table_of_another_bank_is_noticed_and_never_searched(made, vectors, tmp_path):
    table = LanceTable(tmp_path, "index.lance", made.block["table"], "cosine")
    table.forget(100)
    with pytest.raises(ValueError, match="is incomplete: the table 'rows-00000' has 100 rows of 200"):
        opened(tmp_path, made)
    table.add(np.random.default_rng(0).random((100, SIZE), np.float32), np.arange(100, 200), "cosine")
    with pytest.raises(ValueError, match="is no longer that of the bank .* such as a copy of this one"):
        opened(tmp_path, made).search(vectors[:1], 200)


def test_a_table_that_is_gone_and_tables_that_nobody_needs(made, tmp_path):
    forget_tables(tmp_path, made.block)
    assert opened(tmp_path, made).table.count() == 200
    forget_tables(tmp_path, {"file": "index.faiss"})
    with pytest.raises(ValueError, match=r"'index.lance' has no table 'rows-00000'. `MemoryBank.change_index\('/"):
        opened(tmp_path, made)


def test_a_table_gets_no_smaller_by_small_additions_that_are_merged(made, vectors, tmp_path, monkeypatch):
    monkeypatch.setattr("comem_hf.bank.index.lance_index._SMALL_FRAGMENTS", 3)
    writer = opened(tmp_path, made, writable=True)
    for row in range(200, 205):
        writer.add(vectors[row : row + 1], np.array([row]))
    assert writer.write(made.block, 1, None) == made.block
    assert writer.table.opened.stats()["fragment_stats"]["num_fragments"] == 1 and writer.table.count() == 205
