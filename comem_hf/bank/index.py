"""Nearest-neighbour search over item embeddings."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from .config import INDEX_NAME, BankConfig


class Index(ABC):
    """What a memory bank asks of a search index; rows count from 0 in the order of `add`."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of vectors."""

    @property
    @abstractmethod
    def embedding_size(self) -> int:
        """Length of a vector."""

    @abstractmethod
    def add(self, embeddings: np.ndarray) -> None:
        """Append L2-normalised float32 vectors of shape (items, embedding size)."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows of the best `k` vectors per query, best first.

        Args:
            queries (`np.ndarray`): L2-normalised float32, shape (queries, embedding size).
            k (`int`): At most `len(self)`.

        Returns:
            Two arrays of shape (queries, k): cosine similarities and rows.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the index to one file."""


class FlatIndex(Index):
    """Exact search with FAISS' `IndexFlatIP`.

    Args:
        embedding_size (`int`): Length of a vector.
    """

    def __init__(self, embedding_size: int):
        import faiss

        self._faiss = faiss.IndexFlatIP(embedding_size)

    def __len__(self) -> int:
        return self._faiss.ntotal

    @property
    def embedding_size(self) -> int:
        return self._faiss.d

    def add(self, embeddings: np.ndarray) -> None:
        self._faiss.add(np.ascontiguousarray(embeddings, dtype=np.float32))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return self._faiss.search(np.ascontiguousarray(queries, dtype=np.float32), k)

    def save(self, path: Path) -> None:
        import faiss

        faiss.write_index(self._faiss, str(path))

    @classmethod
    def load(cls, path: Path) -> "FlatIndex":
        """Read an index written by `save`.

        Raises:
            ValueError: If the file is damaged or holds an index of another kind.
        """
        import faiss

        try:
            stored = faiss.read_index(str(path))
        except RuntimeError as error:
            raise ValueError(f"{str(path)!r} is not a readable FAISS index.") from error
        if not isinstance(stored, faiss.IndexFlat) or stored.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise ValueError(f"{str(path)!r} must hold a flat inner-product index, got {type(stored).__name__}.")
        index = cls.__new__(cls)
        index._faiss = stored
        return index


def open_index(folder: Path, config: BankConfig) -> Index:
    """The index of a bank.

    Raises:
        ValueError: If its file is damaged, or does not hold what `config` says.
    """
    path = folder / INDEX_NAME
    index = FlatIndex.load(path)
    if (len(index), index.embedding_size) != (config.num_items, config.embedding_size):
        raise ValueError(
            f"{str(path)!r} must hold {config.num_items} vectors of {config.embedding_size} numbers, "
            f"got {len(index)} of {index.embedding_size}."
        )
    return index
