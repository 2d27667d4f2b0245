"""A table of a LanceDB database as the index of a bank, beside files that hold the embeddings."""

import hashlib
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
from transformers.utils import logging

from comem_hf.modeling.installation_comem import how_to_install

from .build_index import StoredEmbeddings
from .default_factory import EXACT_UP_TO
from .faiss_index import CALIBRATED_HITS
from .index import Index, Selection, WriteFile, unit_rows


logger = logging.get_logger(__name__)

LOCAL_URI = "index.lance"  # in the folder of the bank
KEY_VARIABLE = "LANCEDB_API_KEY"
HOST_VARIABLE = "LANCEDB_HOST"
_COMPARED = 2**12  # rows of a selection up to which comparing all of them is faster than asking the database
_SPARE = 2  # candidates per hit: the database compares vectors of a byte per number, the bank exact ones
_WIDENING = 4
_SMALL_FRAGMENTS = 64  # each change adds one; merged together when there are so many
_BATCH = 2**14  # vectors
_PATIENCE = timedelta(hours=6)  # with a server that makes lists


class DatabaseError(OSError):
    """A database cannot be reached, or answers by an error."""


class LanceTable:
    """A table of row numbers and vectors in a LanceDB database: a folder, an object store or a server.

    Args:
        folder (`Path`): The bank.
        uri (`str`): The database: a folder (relative to the bank), `s3://...` and the like, or `db://...`. Keys of
            object stores are read from their usual environment variables; for `db://`, the key is in
            `LANCEDB_API_KEY` and the address of a server of one's own in `LANCEDB_HOST`.
        name (`str`): The table.
        metric (`str`): `"cosine"` or `"l2"`.
    """

    def __init__(self, folder: Path, uri: str, name: str, metric: str):
        self.folder, self.uri, self.name = folder, uri, name
        self.distance = {"cosine": "dot", "l2": "l2"}[metric]  # of unit vectors

    @cached_property
    def opened(self):
        """The table.

        Raises:
            ValueError: If LanceDB is not installed, or there is no such table.
            OSError: If the database cannot be reached.
        """
        with self.reached():
            database = connect(self.folder, self.uri)
            try:
                return database.open_table(self.name)
            except (ValueError, RuntimeError) as error:
                if "not found" not in str(error).lower():
                    raise
        raise ValueError(
            f"The index of the bank {str(self.folder)!r} is missing: {self.uri!r} has no table {self.name!r}. "
            f"{_rebuild(self.folder)}"
        )

    def create(self, embeddings: StoredEmbeddings, metric: str) -> None:
        """Make the table, in place of an unfinished one of this name."""
        with self.reached():
            database = connect(self.folder, self.uri)
            if "://" not in self.uri:
                database.drop_table(self.name, ignore_missing=True)
            self.opened = database.create_table(self.name, schema=_schema(embeddings.embedding_size))
        with logging.tqdm(total=len(embeddings), unit="item", desc="Indexing") as progress:
            for vectors, rows in embeddings:
                self.add(vectors, rows, metric)
                progress.update(len(rows))

    def make_lists(self, number: int) -> None:
        """Sort the vectors into inverted lists, with a byte per number."""
        from lancedb.index import IvfSq

        lists = IvfSq(distance_type=self.distance, num_partitions=number)
        with self.reached():
            self.opened.create_index("vector", config=lists, wait_timeout=_PATIENCE)

    def add(self, embeddings: np.ndarray, rows: np.ndarray, metric: str) -> None:
        """Add vectors, each with a digest of its numbers."""
        import pyarrow as pa

        for start in range(0, len(rows), _BATCH):
            part = np.ascontiguousarray(embeddings[start : start + _BATCH], np.float32)
            vectors = unit_rows(part).astype(np.float32) if metric == "cosine" else part
            columns = [
                pa.array(np.asarray(rows[start : start + _BATCH], np.int64)),
                pa.array(digests(part)),
                pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), part.shape[1]),
            ]
            with self.reached():
                self.opened.add(pa.table(columns, schema=_schema(part.shape[1])))

    def forget(self, first: int) -> None:
        """Remove rows from `first` on, which a writer left that died."""
        with self.reached():
            if self.opened.count_rows() > first:
                self.opened.delete(f"row >= {first}")

    def tidy(self) -> None:
        """Merge small fragments, if there are many, and sort their vectors into the lists; a server does so itself."""
        if self.uri.startswith("db://"):
            return
        with self.reached():
            if self.opened.stats()["fragment_stats"]["num_small_fragments"] > _SMALL_FRAGMENTS:
                self.opened.optimize()

    def count(self) -> int:
        """Number of vectors."""
        with self.reached():
            return self.opened.count_rows()

    def nearest(self, query: np.ndarray, number: int, lists: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Rows and digests of about the nearest vectors."""
        with self.reached():
            search = self.opened.search(query, vector_column_name="vector").distance_type(self.distance)
            if lists is not None:
                search = search.nprobes(lists)
            found = search.limit(number).select(["row", "digest", "_distance"]).to_arrow()
        return found["row"].to_numpy(), found["digest"].to_numpy()

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Say in one sentence, in a `with` statement, that the database cannot be used."""
        try:
            yield
        except DatabaseError:
            raise
        except (OSError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0].split(", /")[0].rstrip(".")
            raise DatabaseError(
                f"The index of the bank {str(self.folder)!r} cannot be used: the database {self.uri!r} does not "
                f"answer as it should ({reason[:200]}). Try again later, or: {_rebuild(self.folder)}"
            ) from error


class LanceIndex(Index):
    """Finds candidates in a table of a LanceDB database, and compares them with the bank's own embeddings.

    So scores are exact, and a table that is not of this bank is noticed. Rows that a later state of the bank has added
    to the table are passed over. The rows of a selective filter are compared without the database.

    Args:
        table (`LanceTable`): The table.
        embeddings (`StoredEmbeddings`): Embeddings of all rows.
        metric (`str`): `"cosine"` or `"l2"`.
        num_lists (`int`): Inverted lists of the table; 0 if it has none, and so is searched exactly.
        nprobe (`int`, *optional*): Inverted lists that a search for up to ten hits looks through.
        writable (`bool`, defaults to `False`): Whether vectors may be added.
    """

    def __init__(
        self,
        table: LanceTable,
        embeddings: StoredEmbeddings,
        metric: str,
        num_lists: int = 0,
        nprobe: int | None = None,
        writable: bool = False,
    ):
        self.table, self.embeddings, self.metric = table, embeddings, metric
        self.num_lists, self.nprobe = num_lists, nprobe
        self._writable = writable
        self._size = len(embeddings)

    def check(self) -> None:
        """Look whether the table is there, and take from it what no state of the bank has, if this is a writer.

        Raises:
            ValueError: If it lacks rows.
            OSError: If the database cannot be reached.
        """
        if self._writable:
            self.table.forget(len(self))
        if (count := self.table.count()) < len(self):
            raise ValueError(
                f"The index of the bank {str(self.table.folder)!r} is incomplete: the table {self.table.name!r} has "
                f"{count} rows of {len(self)}. {_rebuild(self.table.folder)}"
            )

    def __len__(self) -> int:
        return self._size

    @property
    def embedding_size(self) -> int:
        return self.embeddings.embedding_size

    def add(self, embeddings: np.ndarray, ids: np.ndarray) -> None:
        if not self._writable:
            raise ValueError("This index was opened for reading; open it with `writable=True` to change it.")
        self.table.add(embeddings, ids, self.metric)
        self._size += len(ids)

    def search(self, queries: np.ndarray, k: int, among: Selection | None = None) -> tuple[np.ndarray, np.ndarray]:
        queries = self._placed(queries)
        k = min(k, len(self) if among is None else among.count)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        ids = np.full((len(queries), k), -1, np.int64)
        if k == 0 or len(queries) == 0:
            return scores, ids
        mask = None if among is None else np.unpackbits(among.bits, count=len(self), bitorder="little").astype(bool)
        rows = vectors = None
        if mask is not None and among.count <= _COMPARED:
            rows = np.flatnonzero(mask)
            vectors = self._placed(self.embeddings.take(rows))
        for number, query in enumerate(queries):
            if vectors is None:
                found, found_vectors = self._candidates(query, k, mask, among)
            else:
                found, found_vectors = rows, vectors
            exact = self._scores(query, found_vectors)
            best = np.argsort(-exact, kind="stable")[:k]
            scores[number, : len(best)], ids[number, : len(best)] = exact[best], found[best]
        return scores, ids

    def vectors(self, first: int, count: int) -> np.ndarray:
        if not 0 <= first <= first + count <= len(self.embeddings):
            raise ValueError(f"The index lacks ids between {first} and {first + count - 1}.")
        return self._placed(self.embeddings.take(np.arange(first, first + count)))

    def keep(self, live: np.ndarray) -> None:
        raise ValueError("A table of a database belongs to one bank: the index of a copy is made anew.")

    def save(self, path: Path) -> None:
        raise ValueError(f"A table of a database is no file, and is not written to {str(path)!r}.")

    def write(self, block: dict, generation: int, write: WriteFile) -> dict:
        self.table.tidy()
        if not self.num_lists and len(self) > EXACT_UP_TO:
            logger.warning(
                f"With {len(self)} vectors the table is too large for searches without lists, which will be slow. "
                f"{_rebuild(self.table.folder)}"
            )
        return block

    def _candidates(
        self, query: np.ndarray, k: int, mask: np.ndarray | None, among: Selection | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """At least `k` rows that may be hits, if there are, and their vectors."""
        effort = 1.0 if among is None else len(self) / among.count
        while True:
            number = math.ceil(k * effort * (_SPARE if self.num_lists else 1))
            lists = None
            if self.num_lists:
                lists = min(self.num_lists, int(self.nprobe * effort * max(1, k / CALIBRATED_HITS)))
            rows, found_digests = self.table.nearest(query, number, lists)
            ours = rows < len(self)
            if mask is not None:
                ours[ours] = mask[rows[ours]]
            everything = number >= len(self) + np.count_nonzero(rows >= len(self)) and lists in (None, self.num_lists)
            if np.count_nonzero(ours) >= k or everything:
                break
            effort *= _WIDENING
        rows, found_digests = rows[ours], found_digests[ours]
        vectors = self.embeddings.take(rows)
        if not np.array_equal(digests(vectors), found_digests):
            raise ValueError(
                f"The table {self.table.name!r} at {self.table.uri!r} is no longer that of the bank "
                f"{str(self.table.folder)!r}: another bank, such as a copy of this one, has written into it. "
                f"{_rebuild(self.table.folder)}"
            )
        return rows, self._placed(vectors)

    def _placed(self, vectors: np.ndarray) -> np.ndarray:
        vectors = np.asarray(vectors, np.float32)
        return unit_rows(vectors).astype(np.float32) if self.metric == "cosine" else vectors

    def _scores(self, query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        return vectors @ query if self.metric == "cosine" else -np.linalg.norm(vectors - query, axis=1)


def library(folder: Path):
    """Import LanceDB.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        import lancedb
    except ImportError as error:
        raise ValueError(
            f"The index of the bank {str(folder)!r} needs LanceDB: {how_to_install('lancedb')}. Or: {_rebuild(folder)}"
        ) from error
    return lancedb


def connect(folder: Path, uri: str):
    """Connect to a database.

    Raises:
        ValueError: If LanceDB is not installed, or the key of a server is not in the environment.
    """
    lancedb = library(folder)
    if not uri.startswith("db://"):
        return lancedb.connect(uri if "://" in uri else str(folder / uri))
    if not os.environ.get(KEY_VARIABLE):
        raise ValueError(f"The database {uri!r} needs a key: set the environment variable {KEY_VARIABLE}.")
    return lancedb.connect(uri, api_key=os.environ[KEY_VARIABLE], host_override=os.environ.get(HOST_VARIABLE))


def forget_tables(folder: Path, block: dict) -> None:
    """Delete tables in the folder of a bank that its index, by `index` of `bank_config.json`, is not."""
    for path in (folder / LOCAL_URI).glob("*.lance"):
        if block.get("uri") != LOCAL_URI or path.stem != block["table"]:
            shutil.rmtree(path, ignore_errors=True)


def digests(vectors: np.ndarray) -> np.ndarray:
    """A number per vector, int64 of shape (vectors,), that other vectors do not have."""
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(vector.tobytes(), digest_size=8).digest(), "little", signed=True)
            for vector in np.asarray(vectors, np.float32)
        ],
        np.int64,
    )


def _schema(size: int):
    import pyarrow as pa

    return pa.schema([("row", pa.int64()), ("digest", pa.int64()), ("vector", pa.list_(pa.float32(), size))])


def _rebuild(folder: Path) -> str:
    return f"`MemoryBank.change_index({str(folder)!r})` makes an index of files, without the database."
