"""One FAISS file, FAISS in parts and a LanceDB table as the index of a bank, beside each other in one run.

    python -m benchmarks.bank.index.kinds
    python -m benchmarks.bank.index.kinds --vectors 1000000 --size 64

Vectors in clusters of 200. For each kind: how long it takes to make, to open, to search for ten hits (median of
single queries, and with filters that keep half and a thousandth of the rows), to add 100 vectors so that others can
read them, and what is written by that; recall@10 against exact search. Times are given beside those of the first kind,
too, as they depend on what else the machine does.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from transformers.utils import logging

from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.file_names import embeddings_name
from comem_hf.bank.index.build_index import EMBEDDINGS_KEY
from comem_hf.bank.index.index import Selection, unit_rows
from comem_hf.bank.index.kinds import make_index, open_index


HITS, ADDED, SHARD = 10, 100, 2**13


@dataclass
class Described:
    """What opening an index needs of a bank's configuration."""

    index: dict
    metric: str
    num_rows: int
    embedding_size: int
    shard_sizes: list[int]

    index_files = BankConfig.index_files
    stores_embeddings = BankConfig.stores_embeddings


def draw(random: np.random.Generator, centres: np.ndarray, number: int) -> np.ndarray:
    """Draw unit vectors around centres."""
    noise = random.standard_normal((number, centres.shape[1]), dtype=np.float32)
    return unit_rows(centres[random.integers(0, len(centres), number)] + noise).astype(np.float32)


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(folder: Path, paths: list[Path], kind: str, queries: np.ndarray, exact: np.ndarray, count: int) -> dict:
    """Make, open, search and grow an index; return figures."""
    folder.mkdir()
    size, made = queries.shape[1], []
    figures = {"make s": seconds(lambda: made.append(make_index(folder, paths, "cosine", kind)))}
    sizes = [min(SHARD, count - start) for start in range(0, count, SHARD)]
    config = Described(made[0].block, "cosine", count, size, sizes)
    opened = []
    figures["open s"] = seconds(lambda: opened.append(open_index(folder, config)))
    index, found, times = opened[0], [], []
    for query in queries:
        times.append(seconds(lambda query=query: found.append(index.search(query[None], HITS)[1][0])))
    figures["search ms"] = np.median(times) * 1e3
    random = np.random.default_rng(1)
    for name, share in (("half", 0.5), ("1/1000", 0.001)):
        among = Selection.of(random.random(count) < share)
        some = queries[: len(queries) // 4]
        times = [seconds(lambda query=query, among=among: index.search(query[None], HITS, among)) for query in some]
        figures[f"{name} ms"] = np.median(times) * 1e3
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    added = queries[:ADDED]

    def add() -> None:
        writer = open_index(folder, config, writable=True)
        if config.stores_embeddings:
            save_file({EMBEDDINGS_KEY: added}, folder / embeddings_name(len(sizes)))
        writer.add(added, np.arange(count, count + len(added)))
        writer.write(made[0].block, 1, lambda name, save: save(folder / name))

    figures["add s"] = seconds(add)
    changed = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mtime_ns != before.get(path)]
    figures["add MB"] = sum(path.stat().st_size for path in changed) / 1e6
    figures["recall"] = np.mean([len({*a} & {*b}) / HITS for a, b in zip(found, exact.tolist(), strict=True)])
    return figures


def main():
    """Write vectors once; make, search and grow each kind of index of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64, help="numbers per vector")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=[None, "shards:4", "lancedb"])
    options = parser.parse_args()
    logging.disable_progress_bar()
    random = np.random.default_rng(0)
    centres = 1.5 * random.standard_normal((max(1, options.vectors // 200), options.size), dtype=np.float32)
    with tempfile.TemporaryDirectory() as temporary:
        root, paths = Path(temporary), []
        queries = draw(random, centres, options.queries)
        best = np.full((options.queries, HITS), -np.inf), np.zeros((options.queries, HITS), int)
        for start in range(0, options.vectors, SHARD):
            vectors = draw(random, centres, min(SHARD, options.vectors - start))
            paths.append(root / f"{start}.safetensors")
            save_file({EMBEDDINGS_KEY: vectors}, paths[-1])
            scores = np.concatenate([best[0], queries @ vectors.T], axis=1)
            rows = np.concatenate(
                [best[1], np.tile(np.arange(start, start + len(vectors)), (len(queries), 1))], axis=1
            )
            places = np.argsort(-scores, axis=1)[:, :HITS]
            best = np.take_along_axis(scores, places, 1), np.take_along_axis(rows, places, 1)
        first = None
        for number, kind in enumerate(options.kinds):
            figures = measure(root / str(number), paths, kind, queries, best[1], options.vectors)
            first = first or figures
            print(kind or "one FAISS file", flush=True)
            for name, value in figures.items():
                beside = "" if name == "recall" else f"{value / max(first[name], 1e-9):>10.2f} times"
                print(f"  {name:<12}{value:>12.3f}{beside}", flush=True)


if __name__ == "__main__":
    main()
