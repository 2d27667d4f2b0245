"""The words index of a bank: seconds to build and change it, its size, and milliseconds to search it.

    python -m benchmarks.bank.searching.words
    python -m benchmarks.bank.searching.words --items 100000 --compare

Short texts of 6 to 14 words of a vocabulary of 300,000, of which the n-th is 1/n as frequent as the first. Seconds are
those of the processor, on one core. `--compare` also builds and searches an index of the library `bm25s`, whose scores
are the same.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from comem_hf.bank.words.bm25 import best_rows, bm25_scores
from comem_hf.bank.words.postings import Postings
from comem_hf.bank.words.tokens import words_of
from comem_hf.bank.words.words_file import read_words, write_words


VOCABULARY, FEWEST, MOST = 300_000, 6, 14
QUERIES, HITS, CHANGED = 100, 10, 10
LETTERS = np.array(list("eeeettaaoinshrdlu"))


class Texts:
    """Draws texts of made-up words."""

    def __init__(self, seed: int = 0):
        self.random = np.random.default_rng(seed)
        names = self.random.choice(LETTERS, (VOCABULARY, 8))
        self.words = np.array(["".join(name) for name in names])
        self.shares = np.cumsum(1 / np.arange(1, VOCABULARY + 1))

    def draw(self, count: int, words: int | None = None) -> list[str]:
        """Return texts of so many words, or of 6 to 14."""
        lengths = self.random.integers(FEWEST, MOST + 1, count) if words is None else np.full(count, words)
        places = np.searchsorted(self.shares, self.random.random(lengths.sum()) * self.shares[-1])
        ends = np.cumsum(lengths)
        return [" ".join(self.words[places[end - length : end]]) for end, length in zip(ends, lengths, strict=True)]


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    """Processor time of some work, and what it returns."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def show(what: str, measured: str) -> None:
    """Print one figure."""
    print(f"{what:<52}{measured:>16}", flush=True)


def main() -> None:
    """Build, change, store, search; print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--compare", action="store_true", help="with bm25s, which takes minutes for a million texts")
    arguments = parser.parse_args()
    source = Texts()
    texts = source.draw(arguments.items)
    queries = {f"of {count} words": source.draw(QUERIES, count) for count in (2, 8)}
    print(f"{arguments.items:,} texts of {FEWEST} to {MOST} words")
    spent, postings = seconds(lambda: Postings.of_texts(texts))
    show("build", f"{spent:.2f} s")
    show("words, in millions", f"{len(postings) / 1e6:.2f}")
    new = Postings.of_texts(source.draw(CHANGED))
    show(f"add {CHANGED} items", f"{seconds(lambda: postings.joined(new))[0]:.2f} s")
    show(f"remove {CHANGED} items", f"{seconds(lambda: postings.without(np.arange(CHANGED)))[0]:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.safetensors")
        show("write", f"{seconds(lambda: write_words(path, postings))[0]:.2f} s")
        show("size", f"{path.stat().st_size / 1e6:.1f} MB")
        config = SimpleNamespace(words={"file": path.name}, num_rows=arguments.items)
        spent, opened = seconds(lambda: read_words(path.parent, config))
        show("open", f"{1e3 * spent:.2f} ms")
        show("first search", f"{1e3 * seconds(lambda: best_rows(opened, queries['of 2 words'][0], HITS))[0]:.2f} ms")
        for name, asked in queries.items():
            times = [seconds(lambda query=query: best_rows(opened, query, HITS))[0] for query in asked]
            show(f"search {name}, median", f"{1e3 * np.median(times):.2f} ms")
            show(f"search {name}, 95th percentile", f"{1e3 * np.quantile(times, 0.95):.2f} ms")
        if arguments.compare:
            compare(texts, queries, opened)


def compare(texts: list[str], queries: dict[str, list[str]], postings: Postings) -> None:
    """The same by `bm25s`, whose index is built anew for every change."""
    import bm25s

    library = bm25s.BM25()
    spent, _ = seconds(lambda: library.index(list(map(words_of, texts)), show_progress=False))
    show("bm25s: build", f"{spent:.2f} s")
    for name, asked in queries.items():
        times = []
        for query in asked:
            spent, scores = seconds(lambda query=query: library.get_scores(words_of(query)))
            np.testing.assert_allclose(bm25_scores(postings, query), scores, rtol=1e-4, atol=1e-5)
            times.append(spent)
        show(f"bm25s: scores {name}, median", f"{1e3 * np.median(times):.2f} ms")


if __name__ == "__main__":
    main()
