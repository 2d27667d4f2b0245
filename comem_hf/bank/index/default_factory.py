"""The default FAISS index for a bank of a given size."""

import math


EXACT_UP_TO = 40_000  # vectors; of 512 numbers they take 82 MB, and comparing all of them takes a few ms
QUANTIZED_FROM = 10**8  # vectors; of 512 numbers at a byte each they take 51 GB, memory-mapped

_FLAT_QUANTIZER_UP_TO = 2**14  # lists
_MOST_LISTS = 2**17
_SAMPLE_PER_LIST = 40  # training vectors; k-means warns below 39
_LEAST_SAMPLE = 2**16  # what product quantisation is trained on


def default_factory(num_vectors: int, embedding_size: int) -> str:
    """FAISS factory string of the index for a bank.

    | vectors | index | bytes per vector |
    |---|---|---|
    | up to 40,000 | `Flat`: exact | 4 per number |
    | up to 100 million | `IVF{lists},SQ8`: memory-mapped | 1 per number |
    | more | `OPQ{m}_{4m},IVF{lists}_HNSW32,PQ{m}`: memory-mapped | m, a quarter of the numbers, at most 128 |

    `lists` is the power of two that is nearest to 4 times the square root of the number of vectors, at most 131,072.
    Product quantisation is used only above 100 million vectors because it loses much: it finds about 0.6 of the exact
    ten neighbours, and a byte per number finds 0.98 (`benchmarks/bank/index_quantizers.py`). HNSW graphs are never
    the default: they hold every vector in memory, and vectors cannot be removed from them.
    """
    if num_vectors <= EXACT_UP_TO:
        return "Flat"
    lists = min(_MOST_LISTS, 2 ** round(math.log2(4 * math.sqrt(num_vectors))))
    coarse = f"IVF{lists}" if lists <= _FLAT_QUANTIZER_UP_TO else f"IVF{lists}_HNSW32"
    if num_vectors <= QUANTIZED_FROM:
        return f"{coarse},SQ8"
    parts = max(1, min(128, embedding_size // 4))
    return f"OPQ{parts}_{min(4 * parts, embedding_size)},{coarse},PQ{parts}"


def training_size(num_lists: int) -> int:
    """Number of vectors to train an index on, by its inverted lists (0: none): 40 per list, at least 65,536."""
    return max(_LEAST_SAMPLE, _SAMPLE_PER_LIST * num_lists)
