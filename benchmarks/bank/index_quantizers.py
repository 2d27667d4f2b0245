"""Recall of quantized indexes compared with exact search, and their size and time.

    python -m benchmarks.bank.index_quantizers
    python -m benchmarks.bank.index_quantizers --items 1000000 --factories IVF4096,SQ8 OPQ128_512,IVF4096,PQ128

Uses the clustered 512-dimensional vectors of scale.py, which are hard for coarse codes, as the 200 neighbours in a
cluster are at nearly equal distances. Runs on one core.
"""

import argparse
import time

import faiss
import numpy as np

from benchmarks.bank.scale import EMBEDDING, Clusters


HITS, MORE, QUERIES, NPROBE = 10, 50, 400, 16
FACTORIES = ("IVF2048,SQ8", "IVF2048,SQ6", "IVF2048,SQ4", "IVF2048,PQ128")


def overlap(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the share of the exact neighbours that were found."""
    return float(np.mean([len({*row} & {*truth}) / len(truth) for row, truth in zip(found, exact, strict=True)]))


def main() -> None:
    """Build each index, search it, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--factories", nargs="+", default=FACTORIES)
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    clusters = Clusters(arguments.items)
    vectors, queries = clusters.draw(arguments.items), clusters.draw(QUERIES)
    exact = faiss.IndexFlatIP(EMBEDDING)
    exact.add(vectors)
    _, truth = exact.search(queries, HITS)

    print(f"{arguments.items:,} vectors of {EMBEDDING} numbers, {QUERIES} queries, nprobe {NPROBE}")
    print(f"{'index':28} {'bytes':>6} {f'recall@{HITS}':>10} {f'in first {MORE}':>12} {'ms':>6} {'build s':>8}")
    for factory in arguments.factories:
        start = time.perf_counter()
        index = faiss.index_factory(EMBEDDING, factory, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[: 2**16])
        index.add(vectors)
        built = time.perf_counter() - start
        lists = faiss.extract_index_ivf(index)
        lists.nprobe = NPROBE
        start = time.perf_counter()
        _, found = index.search(queries, HITS)
        each = (time.perf_counter() - start) / QUERIES
        _, more = index.search(queries, MORE)
        print(
            f"{factory:28} {lists.code_size:6} {overlap(found, truth):10.3f} {overlap(more, truth):12.3f} "
            f"{each * 1e3:6.2f} {built:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
