"""Building the search index of a bank: train on a sample, add everything, measure what is found."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file
from transformers.utils import logging

from .default_factory import default_factory, training_size
from .faiss_index import FaissIndex
from .faiss_shards import FaissShards
from .index import unit_rows


logger = logging.get_logger(__name__)

EMBEDDINGS_KEY = "embeddings"
TARGET_RECALL = 0.95
_HITS = 10
_QUERIES = 512
_MOST_PROBES = 128
_SEED = 0
_TIE = 1e-5  # of the mean squared norm: scores of the same vector, computed in two ways, differ by less


class CalibratedIndex(Protocol):
    """An index that may have inverted lists."""

    metric: str
    nprobe: int | None
    num_lists: int

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See [`Index.search`]."""


class StoredEmbeddings:
    """Embeddings of a bank in safetensors files, read one file or a few rows at a time.

    Args:
        paths (`Sequence[Path]`): One file per shard, each with the tensor `embeddings` of shape (items, size).
        keep_open (`bool`, defaults to `False`): Keep the files mapped, for many small reads.
    """

    def __init__(self, paths: Sequence[Path], keep_open: bool = False):
        self.paths = list(paths)
        self._kept = {path: self._slice(path) for path in self.paths} if keep_open else {}
        shapes = [(self._kept.get(path) or self._slice(path)).get_shape() for path in self.paths]
        self.starts = np.cumsum([0, *(rows for rows, _ in shapes)])
        self.embedding_size = shapes[0][1]

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The embeddings of each file, with their rows."""
        for path, start in zip(self.paths, self.starts, strict=False):
            embeddings = load_file(path)[EMBEDDINGS_KEY]
            yield embeddings, np.arange(start, start + len(embeddings))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Embeddings of some rows, in their order."""
        taken = np.empty((len(rows), self.embedding_size), np.float32)
        shards = np.searchsorted(self.starts, rows, side="right") - 1
        for shard in np.unique(shards):
            path = self.paths[shard]
            stored = self._kept.get(path) or self._slice(path)
            for place in np.flatnonzero(shards == shard):
                taken[place] = stored[int(rows[place] - self.starts[shard])]
        return taken

    @staticmethod
    def _slice(path: Path):
        return safe_open(path, framework="np").get_slice(EMBEDDINGS_KEY)


def build_index(
    embeddings: StoredEmbeddings, metric: str, factory: str | None = None, parts: int | None = None
) -> tuple[FaissIndex, dict]:
    """Build the index of a bank; the same embeddings always give the same index.

    In an index with inverted lists, `nprobe` is the number of lists per search, a power of two up to 128. It is the
    smallest with which the index finds 0.95 of the exact ten nearest neighbours of 512 of the bank's own vectors; a
    vector is no neighbour of itself. If none reaches that, it is the smallest that comes within 0.01 of the best, and
    a warning says what was reached.

    Args:
        embeddings (`StoredEmbeddings`): Embeddings of all items, in the order of rows.
        metric (`str`): `"cosine"` or `"l2"`.
        factory (`str`, *optional*): FAISS factory string; if not given, it depends on the number of vectors (see
            [`default_factory`]).
        parts (`int`, *optional*): Make it of so many parts (see [`FaissShards`]).

    Returns:
        `tuple[FaissIndex, dict]`: The index, and `{"factory": str, "nprobe": int or None, "recall": float}`, which
        says what was built and how well it finds.

    Raises:
        ValueError: If `factory` makes no usable index, or needs more training vectors than there are.
    """
    factory = factory or default_factory(len(embeddings), embeddings.embedding_size)
    index = FaissIndex.create(factory, embeddings.embedding_size, metric)
    if parts is not None:
        index = FaissShards([index], math.ceil(len(embeddings) / parts))
    random = np.random.default_rng(_SEED)
    if not index.is_trained:
        size = min(len(embeddings), training_size(index.num_lists))
        sample = embeddings.take(np.sort(random.choice(len(embeddings), size, replace=False)))
        try:
            index.train(sample)
        except RuntimeError as error:
            reason = str(error).rsplit("failed: ", 1)[-1]
            raise ValueError(f"`index_factory` {factory!r} cannot be trained on {size} vectors: {reason}") from error
        del sample
    with logging.tqdm(total=len(embeddings), unit="item", desc="Indexing") as progress:
        for vectors, rows in embeddings:
            index.add(vectors, rows)
            progress.update(len(rows))
    recall = 1.0 if index.is_exact else calibrate(index, embeddings, factory, random)
    return index, {"factory": factory, "nprobe": index.nprobe, "recall": round(recall, 4)}


def calibrate(
    index: CalibratedIndex, embeddings: StoredEmbeddings, factory: str, random: np.random.Generator | None = None
) -> float:
    """Set the `nprobe` of an index if it has inverted lists, measure its recall, and warn if that is low.

    Args:
        index (`CalibratedIndex`): The index, with all vectors.
        embeddings (`StoredEmbeddings`): These vectors.
        factory (`str`): Its name, for the warning.
        random (`np.random.Generator`, *optional*): Chooses the vectors that are searched for.
    """
    recall = _calibrate(index, embeddings, random or np.random.default_rng(_SEED))
    if recall < TARGET_RECALL:
        logger.warning(
            f"The index {factory!r} finds {recall:.2f} of the ten nearest neighbours of a vector, less than "
            f"{TARGET_RECALL}; an `index_factory` with more bytes per vector finds more."
        )
    return recall


def _calibrate(index: CalibratedIndex, embeddings: StoredEmbeddings, random: np.random.Generator) -> float:
    """Set `nprobe` if there are inverted lists, and return the recall."""
    hits = min(_HITS, len(embeddings) - 1)
    if hits == 0:
        return 1.0
    rows = np.sort(random.choice(len(embeddings), min(_QUERIES, len(embeddings)), replace=False))
    queries = embeddings.take(rows)
    # An offset that all vectors share changes no distance, but adds rounding errors.
    place = unit_rows if index.metric == "cosine" else partial(_from_centre, centre=queries.mean(axis=0))
    placed = place(queries)
    tie = _TIE * np.square(placed).sum(axis=1).mean()
    farthest = _exact_score_of_hit(hits, placed, rows, embeddings, place)
    recalls = {}
    for nprobe in [2**power for power in range(_MOST_PROBES.bit_length()) if 2**power <= index.num_lists] or [None]:
        index.nprobe = nprobe
        _, found = index.search(queries, hits + 1)
        # Hits are compared by score, not by row: of equal vectors, any one is good.
        vectors = place(embeddings.take(np.maximum(found, 0).ravel())).reshape(*found.shape, -1)
        scores = np.concatenate([_scores(query[None], each) for query, each in zip(placed, vectors, strict=True)])
        good = (scores >= farthest[:, None] - tie) & (found >= 0) & (found != rows[:, None])
        recalls[nprobe] = float(np.minimum(good.sum(axis=1), hits).mean() / hits)
        if recalls[nprobe] >= TARGET_RECALL:
            break
    else:
        index.nprobe = next(nprobe for nprobe, recall in recalls.items() if recall >= max(recalls.values()) - 0.01)
    return recalls[index.nprobe]


def _exact_score_of_hit(hit: int, queries, rows, embeddings: StoredEmbeddings, place: Callable) -> np.ndarray:
    """Score of the n-th nearest vector of each query, the query itself not counted."""
    best = np.full((len(queries), hit), -np.inf, np.float32)
    for vectors, numbers in embeddings:
        scores = _scores(queries, place(vectors))
        scores[rows[:, None] == numbers] = -np.inf
        best = np.partition(np.concatenate([best, scores], axis=1), -hit, axis=1)[:, -hit:]
    return best.min(axis=1)


def _scores(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Minus the squared distances, shape (queries, vectors); for unit vectors, they order as cosines do."""
    products = queries @ vectors.T
    return 2 * products - np.square(queries).sum(axis=1)[:, None] - np.square(vectors).sum(axis=1)


def _from_centre(vectors: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return vectors - centre
