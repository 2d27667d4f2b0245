"""Which index a bank of some size gets."""

import pytest

from comem_hf.bank.index.default_factory import default_factory
from comem_hf.bank.index.faiss_index import FaissIndex


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
