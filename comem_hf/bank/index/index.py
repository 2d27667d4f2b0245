"""The interface of the search index of a memory bank."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comem_hf.bank.format.file_names import index_name


WriteFile = Callable[[str, Callable[[Path], object]], object]


@dataclass(frozen=True)
class Selection:
    """Rows that a search may return.

    Args:
        bits (`np.ndarray`): Bitmap of all rows, uint8 of shape (rows / 8, rounded up); row 0 is the lowest bit.
        count (`int`): Rows that are set.
    """

    bits: np.ndarray
    count: int

    @classmethod
    def of(cls, mask: np.ndarray) -> "Selection":
        """The rows where a boolean array of shape (rows,) is true."""
        return cls(np.packbits(mask, bitorder="little"), int(np.count_nonzero(mask)))


class Index(ABC):
    """Finds the ids of embeddings; an id is a row of the bank, and stays the same when vectors are added.

    A search gets the ids that may be hits, and so skips removed rows; [`Index.keep`] is for an index without them.
    Embeddings are float32 arrays of shape (vectors, embedding size), of any norm: if the metric is cosine, the index
    normalises them.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of vectors."""

    @property
    @abstractmethod
    def embedding_size(self) -> int:
        """Length of a vector."""

    @abstractmethod
    def add(self, embeddings: np.ndarray, ids: np.ndarray) -> None:
        """Add vectors under new ids, int64 of shape (vectors,)."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int, among: Selection | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scores and ids of the best vectors per query, best first.

        Args:
            queries (`np.ndarray`): Shape (queries, embedding size).
            k (`int`): Hits per query.
            among (`Selection`, *optional*): Ids that may be hits; all if not given.

        Returns:
            `tuple[np.ndarray, np.ndarray]`: Scores (cosine similarity, or minus the Euclidean distance) and ids, both
            of shape (queries, hits), where hits is `k` or, if smaller, the number of ids that may be hits. Hits that
            the index did not find have the id -1 and come last.
        """

    @abstractmethod
    def vectors(self, first: int, count: int) -> np.ndarray:
        """The vectors of `count` ids from `first` on.

        They are exact, or approximate if the index compresses them.

        Raises:
            ValueError: If the index lacks one of the ids.
        """

    @abstractmethod
    def keep(self, live: np.ndarray) -> None:
        """Drop vectors, and number the rest from 0, in the same order: for a copy of a bank without removed items.

        Args:
            live (`np.ndarray`): Which ids stay, bool of shape (vectors,).
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the index to one file."""

    def write(self, block: dict, generation: int, write: WriteFile) -> dict:
        """Write what has changed since the index was opened into files of new names; others may read the old ones.

        Args:
            block (`dict`): `index` of `bank_config.json`, before the change.
            generation (`int`): Number of the change.
            write (`Callable`): Called with the name of each file and a function that fills it.

        Returns:
            `dict`: `index` of `bank_config.json`, after the change.
        """
        name = index_name(generation)
        write(name, self.save)
        return {**block, "file": name}


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors divided by their length; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
