"""A FAISS index in several files, which one process searches as one: FAISS' `IndexShards`."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from comem_hf.bank.format.file_names import part_name

from .faiss_index import FaissIndex
from .index import WriteFile
from .keep_rows import keep_rows


class FaissShards(FaissIndex):
    """Parts of consecutive rows with the same inverted lists: they find what one index would find.

    Adding fills the last part and begins new ones; the other parts stay as they are. FAISS searches the parts one
    after the other, as threads of its own would not survive a fork of the process.

    Args:
        parts (`Sequence[FaissIndex]`): The parts, with inverted lists (`IVF...`); the first one has been trained.
        rows_per_part (`int`): Rows at which a part is full.
        paths (`Sequence[Path]`, *optional*): The file of each part; none if they are in memory only.

    Raises:
        ValueError: If a part has no inverted lists: only these store ids.
    """

    def __init__(self, parts: Sequence[FaissIndex], rows_per_part: int, paths: Sequence[Path] = ()):
        first = parts[0]
        super().__init__(first._faiss, first.metric, first.nprobe, first.read_only)
        if self._ivf is None:
            raise ValueError("An index in several parts needs inverted lists: `IVF1,Flat` is the exact one.")
        self.rows_per_part = rows_per_part
        self._parts = list(parts)
        self._paths = list(paths)
        self._reading = Lock()
        self._changed = set() if paths else set(range(len(parts)))
        self._join()

    @classmethod
    def load_parts(
        cls,
        paths: Sequence[Path],
        rows_per_part: int,
        metric: str,
        nprobe: int | None = None,
        writable: bool = False,
    ) -> "FaissShards":
        """Read the files that `write` made; if `writable`, vectors can be added.

        Raises:
            ValueError: If a file is damaged or holds an index of another kind.
        """
        last = paths[-1]
        parts = [FaissIndex.load(path, metric, nprobe, writable and path == last) for path in paths]
        shards = cls(parts, rows_per_part, paths)
        shards.read_only = not writable
        return shards

    def add(self, embeddings: np.ndarray, ids: np.ndarray) -> None:
        self._check_writable()
        start = 0
        while start < len(ids):
            room = self.rows_per_part - len(self._parts[-1])
            if room <= 0:
                self._parts.append(self._empty_part())
                room = self.rows_per_part
            self._parts[-1].add(embeddings[start : start + room], ids[start : start + room])
            self._changed.add(len(self._parts) - 1)
            start += room
        self._join()

    def train(self, embeddings: np.ndarray) -> None:
        self._parts[0].train(embeddings)
        self._join()

    def vectors(self, first: int, count: int) -> np.ndarray:
        found, start = [], 0
        for part, size in zip(self._parts, self._sizes, strict=True):
            rows = range(max(first, start), min(first + count, start + size))
            if rows:
                found.append(self._of_part(part, size, rows))
            start += size
        if sum(map(len, found)) != count:
            raise ValueError(f"The index lacks ids between {first} and {first + count - 1}.")
        return np.concatenate(found) if found else np.empty((0, self.embedding_size), np.float32)

    def keep(self, live: np.ndarray) -> None:
        self._check_writable()
        self._widen(live)
        for number, part in enumerate(self._parts):  # ids of all parts move up
            if part.read_only:
                part = self._parts[number] = FaissIndex.load(self._paths[number], self.metric, writable=True)
            keep_rows(part._faiss, live)
            self._changed.add(number)
        self._parts = [part for part in self._parts if len(part)]
        self._changed, self._paths = set(range(len(self._parts))), []
        self._join()

    def write(self, block: dict, generation: int, write: WriteFile) -> dict:
        """Write the parts that have changed, under new names; see [`Index.write`]."""
        names = [path.name for path in self._paths] + [""] * (len(self._parts) - len(self._paths))
        for number in sorted(self._changed):
            names[number] = part_name(generation, number)
            write(names[number], self._parts[number].save)
        return {**block, "files": names, "rows_per_part": self.rows_per_part, "nprobe": self.nprobe}

    def save(self, path: Path) -> None:
        raise ValueError(f"An index in several parts is no single file, and is not written to {str(path)!r}.")

    def _of_part(self, part: FaissIndex, size: int, rows: range) -> np.ndarray:
        # FAISS reads the vectors of ids, wherever these begin, but takes the number of vectors for the end of the ids.
        with self._reading:
            try:
                part._core.ntotal = part._faiss.ntotal = rows.stop
                return part.vectors(rows.start, len(rows))
            finally:
                part._core.ntotal = part._faiss.ntotal = size

    def _empty_part(self) -> FaissIndex:
        import faiss

        empty = faiss.clone_index(self._parts[-1]._faiss)
        empty.reset()
        return FaissIndex(empty, self.metric, self.nprobe)

    def _join(self) -> None:
        import faiss

        first = self._parts[0]
        self._core, self._ivf = first._core, first._ivf
        joined = faiss.IndexShards(first.embedding_size, False, False)
        for part in self._parts:
            joined.add_shard(part._faiss)
        self._sizes = [len(part) for part in self._parts]
        self._faiss = joined
