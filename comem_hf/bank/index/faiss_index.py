"""The search index that comes with this package: FAISS."""

import math
from pathlib import Path

import numpy as np

from .index import Index, Selection, unit_rows
from .keep_rows import keep_rows


CALIBRATED_HITS = 10  # per query, for which `nprobe` was chosen
_WIDENING = 4  # factor for `nprobe` while hits are missing


class FaissIndex(Index):
    """A FAISS index: exact (`Flat`, `SQ...`), of inverted lists (`IVF...`) or a graph (`HNSW...`).

    Inverted lists store the ids of vectors; in the others, the id of a vector is its position.

    Args:
        index (`faiss.Index`): The index.
        metric (`str`): `"cosine"` or `"l2"`.
        nprobe (`int`, *optional*): Inverted lists that a search for up to ten hits looks through.
        read_only (`bool`, defaults to `False`): Whether the inverted lists are memory-mapped from a file.

    Raises:
        ValueError: If the index is of a kind that a bank cannot use, or compares by another metric.
    """

    def __init__(self, index, metric: str, nprobe: int | None = None, read_only: bool = False):
        import faiss

        self._faiss = index
        self.metric = metric
        self.read_only = read_only
        core = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
        if not isinstance(core, (faiss.IndexIVF, faiss.IndexHNSW, faiss.IndexFlat, faiss.IndexScalarQuantizer)):
            raise ValueError(f"{_kind(index)} is no index of a bank: use Flat, SQ, IVF or HNSW, without an IDMap.")
        if isinstance(core, faiss.IndexIVFFastScan):  # FAISS crashes when it reads their vectors out of a mapped file
            raise ValueError(f"{_kind(index)} is no index of a bank: use PQ without `fs`.")
        if index.metric_type != _faiss_metric(metric):
            raise ValueError(f"{_kind(index)} does not compare by {metric!r}.")
        self._core = core
        self._transforms = isinstance(index, faiss.IndexPreTransform)
        self._ivf = core if isinstance(core, faiss.IndexIVF) else None
        self.nprobe = nprobe or (None if self._ivf is None else self._ivf.nprobe)

    @classmethod
    def create(cls, factory: str, embedding_size: int, metric: str) -> "FaissIndex":
        """Create an empty index, which has to be trained unless `is_trained` is true.

        Raises:
            ValueError: If `factory` is no FAISS factory string, or makes an index that a bank cannot use.
        """
        import faiss

        try:
            return cls(faiss.index_factory(embedding_size, factory, _faiss_metric(metric)), metric)
        except (RuntimeError, ValueError) as error:
            reason = str(error).rsplit("Error: ", 1)[-1]
            raise ValueError(
                f"`index_factory` {factory!r} makes no index for {embedding_size} numbers: {reason}"
            ) from error

    @classmethod
    def load(cls, path: Path, metric: str, nprobe: int | None = None, writable: bool = False) -> "FaissIndex":
        """Read an index written by `save`.

        Args:
            path (`Path`): The file, which must not change while the index is used.
            metric (`str`): Metric of the index.
            nprobe (`int`, *optional*): See [`FaissIndex`].
            writable (`bool`, defaults to `False`): Read inverted lists into memory instead of mapping them, so that
                vectors can be added.

        Raises:
            ValueError: If the file is damaged or holds an index of another kind.
        """
        import faiss

        try:
            stored = faiss.read_index(str(path), 0 if writable else faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise ValueError(f"{str(path)!r} is not a readable FAISS index.") from error
        try:
            index = cls(stored, metric, nprobe, read_only=not writable)
        except ValueError as error:
            raise ValueError(f"{str(path)!r} is damaged: {error}") from error
        if index._ivf is not None:
            lists = faiss.downcast_InvertedLists(index._ivf.invlists)
            if isinstance(lists, faiss.OnDiskInvertedLists):
                if lists.filename not in ("", str(path)):
                    raise ValueError(f"{str(path)!r} is damaged: it refers to the file {lists.filename!r}.")
                lists.prefetch_nthread = 0  # starting threads takes longer than a search; the system reads ahead
        return index

    def __len__(self) -> int:
        return self._faiss.ntotal

    @property
    def embedding_size(self) -> int:
        return self._faiss.d

    @property
    def num_lists(self) -> int:
        """Number of inverted lists; 0 where there are none."""
        return 0 if self._ivf is None else self._ivf.nlist

    @property
    def is_exact(self) -> bool:
        """Whether a search finds the nearest vectors for certain."""
        import faiss

        return isinstance(self._core, faiss.IndexFlat) and not self._transforms

    @property
    def is_trained(self) -> bool:
        """Whether vectors can be added."""
        return self._faiss.is_trained

    def train(self, embeddings: np.ndarray) -> None:
        """Train on a sample of shape (vectors, embedding size); the same sample gives the same result."""
        self._faiss.train(self._prepared(embeddings))

    def add(self, embeddings: np.ndarray, ids: np.ndarray) -> None:
        self._check_writable()
        vectors, ids = self._prepared(embeddings), np.ascontiguousarray(ids, dtype=np.int64)
        if self._ivf is not None:
            self._faiss.add_with_ids(vectors, ids)
        elif np.array_equal(ids, np.arange(len(self), len(self) + len(vectors))):
            self._faiss.add(vectors)
        else:
            raise ValueError(f"{_kind(self._core)} numbers its vectors itself: the next id must be {len(self)}.")

    def search(self, queries: np.ndarray, k: int, among: Selection | None = None) -> tuple[np.ndarray, np.ndarray]:
        queries = self._prepared(queries)
        count = len(self) if among is None else min(among.count, len(self))
        k = min(k, count)
        if k == 0 or len(queries) == 0:
            return np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        # A search has to look further if fewer vectors may be hits, or more hits are wanted.
        effort = len(self) / count * max(1, k / CALIBRATED_HITS)
        scores, ids = self._search(queries, k, effort, among)
        while (
            (short := (ids < 0).any(axis=1)).any() and self._ivf is not None and self.nprobe * effort < self.num_lists
        ):
            effort *= _WIDENING
            scores[short], ids[short] = self._search(queries[short], k, effort, among)
        if self.metric == "l2":
            scores = -np.sqrt(np.maximum(scores, 0))  # FAISS gives squares
        return scores, ids

    def vectors(self, first: int, count: int) -> np.ndarray:
        vectors = np.full((count, self.embedding_size), np.nan, dtype=np.float32)
        try:
            self._faiss.reconstruct_n(first, count, vectors)
        except RuntimeError as error:
            raise ValueError(f"{_kind(self._faiss)} lacks ids between {first} and {first + count - 1}.") from error
        return vectors

    def keep(self, live: np.ndarray) -> None:
        self._check_writable()
        self._widen(live)
        keep_rows(self._faiss, live)

    def save(self, path: Path) -> None:
        import faiss

        self._check_writable()
        faiss.write_index(self._faiss, str(path))

    def _search(self, queries, k: int, effort: float, among: Selection | None):
        import faiss

        selector = None if among is None else faiss.IDSelectorBitmap(among.bits)
        if self._ivf is not None:
            lists = min(self.num_lists, math.ceil(self.nprobe * effort))
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=lists)
        elif isinstance(self._core, faiss.IndexHNSW):
            width = min(len(self), math.ceil(self._core.hnsw.efSearch * effort))
            parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=width)
        else:
            parameters = faiss.SearchParameters(sel=selector)
        if self._transforms:
            parameters = faiss.SearchParametersPreTransform(index_params=parameters)
        return self._faiss.search(queries, k, params=parameters)

    def _widen(self, live: np.ndarray) -> None:
        """Look through more lists where fewer vectors are left in each, and as many are to be found."""
        if self._ivf is not None:
            share = np.count_nonzero(live) / len(live)
            self.nprobe = min(self.num_lists, math.ceil(self.nprobe / share))

    def _prepared(self, embeddings: np.ndarray) -> np.ndarray:
        embeddings = unit_rows(embeddings) if self.metric == "cosine" else embeddings
        return np.ascontiguousarray(embeddings, dtype=np.float32)

    def _check_writable(self) -> None:
        if self.read_only:  # FAISS would write the name of the mapped file in place of the lists
            raise ValueError("This index was opened for reading; open it with `writable=True` to change or save it.")


def _faiss_metric(metric: str) -> int:
    import faiss

    return {"cosine": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}[metric]


def _kind(index) -> str:
    return type(index).__name__
