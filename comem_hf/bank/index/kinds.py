"""The kinds of index, by what `index_factory` says and what `index` of `bank_config.json` has.

| `index_factory` | index |
|---|---|
| none, or a FAISS factory string | one FAISS file ([`FaissIndex`]) |
| `shards:4`, `shards:4:IVF1024,SQ8` | FAISS in four files, searched as one ([`FaissShards`]) |
| `lancedb`, `lancedb:s3://bucket/path` | a table of a LanceDB database ([`LanceIndex`]) |
"""

import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.file_names import INDEX_NAME, embeddings_name, index_name
from comem_hf.files.whole_file import file_entry, write_durably

from .build_index import StoredEmbeddings, build_index, calibrate
from .default_factory import EXACT_UP_TO, default_factory
from .faiss_index import FaissIndex
from .faiss_shards import FaissShards
from .index import Index
from .lance_index import LOCAL_URI, LanceIndex, LanceTable, connect, library


@dataclass(frozen=True)
class IndexKind:
    """What `index_factory` asks for.

    Args:
        name (`str` or `None`): `"shards"`, `"lancedb"`, or `None` for one FAISS file.
        factory (`str`, *optional*): FAISS factory string; if not given, it depends on the number of vectors.
        parts (`int`, *optional*): Number of parts.
        uri (`str`, *optional*): Database.
    """

    name: str | None = None
    factory: str | None = None
    parts: int | None = None
    uri: str | None = None

    @classmethod
    def of(cls, index_factory: str | None) -> "IndexKind":
        """Read an `index_factory`.

        Raises:
            ValueError: If it is of no known form, or holds a secret.
        """
        if not isinstance(index_factory, str | None):
            raise ValueError(f"`index_factory` must be a string such as 'IVF4096,SQ8', got {index_factory!r}.")
        name, _, rest = (index_factory or "").partition(":")
        if name == "shards":
            number, _, factory = rest.partition(":")
            if not number.isdecimal() or int(number) < 1:
                raise ValueError(
                    f"`index_factory` {index_factory!r} must give a number of parts, such as 'shards:4' or "
                    "'shards:4:IVF1024,SQ8'."
                )
            return cls(name, factory or None, parts=int(number))
        if name != "lancedb":
            return cls(factory=index_factory)
        parsed = urlsplit(rest)
        if parsed.password or parsed.query or parsed.username:
            raise ValueError(
                "`index_factory` holds a secret, which would be written into the bank: give the address of the "
                "database only, and its key by an environment variable."
            )
        return cls(name, uri=rest or LOCAL_URI)

    def check(self, folder: Path) -> None:
        """Refuse, before any work, an index whose library is missing or whose database cannot be reached.

        Args:
            folder (`Path`): The bank, which need not exist.

        Raises:
            ValueError: If it cannot be used.
            OSError: If the database does not answer.
        """
        if self.name == "lancedb":
            library(folder)
            if "://" in self.uri:
                with LanceTable(folder, self.uri, "none", "cosine").reached():
                    connect(folder, self.uri).list_tables(limit=1)


@dataclass(frozen=True)
class MadeIndex:
    """An index that lies in the folder of a bank.

    Args:
        index (`Index`): The index.
        block (`dict`): `index` of `bank_config.json`.
        files (`dict[str, dict]`): Its entries in `files` of `bank_config.json`.
    """

    index: Index
    block: dict
    files: dict[str, dict]


def make_index(
    folder: Path, paths: Sequence[Path], metric: str, index_factory: str | None = None, generation: int = 0
) -> MadeIndex:
    """Build the index of a bank and write it into the bank's folder.

    Args:
        folder (`Path`): The folder.
        paths (`Sequence[Path]`): Files of the embeddings of all shards; an index that is no file takes a copy.
        metric (`str`): `"cosine"` or `"l2"`.
        index_factory (`str`, *optional*): See above.
        generation (`int`, defaults to 0): Generation of the bank that will have the index.

    Raises:
        ValueError: If there is no such index, it needs more vectors, or its library is missing.
        OSError: If no space is left, or a database cannot be reached.
    """
    kind, files = IndexKind.of(index_factory), {}
    stored = StoredEmbeddings(paths)

    def write(name: str, save: Callable[[Path], object]) -> None:
        files[name] = write_durably(folder / name, save)

    if kind.name == "lancedb":
        index, block = _make_table(folder, stored, metric, kind, generation, files)
        return MadeIndex(index, {**block, "factory": index_factory}, files)
    if kind.name == "shards":
        factory = kind.factory or default_factory(len(stored), stored.embedding_size)
        factory = "IVF1,Flat" if factory == "Flat" else factory  # only inverted lists store ids
        index, found = build_index(stored, metric, factory, kind.parts)
        found = {"kind": kind.name, **found, "factory": f"shards:{kind.parts}:{factory}"}
        return MadeIndex(index, index.write(found, generation, write), files)
    index, found = build_index(stored, metric, kind.factory)
    name = index_name(generation) if generation else INDEX_NAME
    write(name, index.save)
    return MadeIndex(index, {"file": name, **found}, files)


def _make_table(
    folder: Path, stored: StoredEmbeddings, metric: str, kind: IndexKind, generation: int, files: dict
) -> tuple[LanceIndex, dict]:
    for shard, path in enumerate(stored.paths):
        if path == folder / embeddings_name(shard):
            files[path.name] = file_entry(path)
        else:
            name = embeddings_name(shard)
            files[name] = write_durably(folder / name, partial(shutil.copyfile, path))
    embeddings = StoredEmbeddings([folder / embeddings_name(shard) for shard in range(len(stored.paths))], True)
    # A database that others use, too, gets another name for each bank.
    name = f"rows-{generation:05d}" + (f"-{secrets.token_hex(8)}" if kind.uri != LOCAL_URI else "")
    table = LanceTable(folder, kind.uri, name, metric)
    table.create(embeddings, metric)
    number = 0
    if len(embeddings) > EXACT_UP_TO:
        number = 2 ** round(len(embeddings).bit_length() / 2)
        table.make_lists(number)
    index = LanceIndex(table, embeddings, metric, number)
    recall = calibrate(index, embeddings, "lancedb") if number else 1.0
    block = {"kind": "lancedb", "uri": kind.uri, "table": name, "lists": number, "nprobe": index.nprobe}
    return index, {**block, "recall": round(recall, 4)}


def open_index(folder: Path, config: BankConfig, writable: bool = False, check: bool = True) -> Index:
    """Open the index of a bank.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration.
        writable (`bool`, defaults to `False`): See [`FaissIndex.load`].
        check (`bool`, defaults to `True`): Look for a database now; else at the first search.

    Raises:
        ValueError: If its file is damaged, or does not match `config`; if its library or its table is missing.
        OSError: If its database cannot be reached.
    """
    block, nprobe = config.index, config.index.get("nprobe")
    if config.stores_embeddings:
        stored = StoredEmbeddings([folder / embeddings_name(shard) for shard in range(len(config.shard_sizes))], True)
        table = LanceTable(folder, block["uri"], block["table"], config.metric)
        index = LanceIndex(table, stored, config.metric, block.get("lists", 0), nprobe, writable)
    elif "kind" in block:
        paths = [folder / name for name in block["files"]]
        index = FaissShards.load_parts(paths, block["rows_per_part"], config.metric, nprobe, writable)
    else:
        index = FaissIndex.load(folder / block["file"], config.metric, nprobe, writable)
    if (len(index), index.embedding_size) != (config.num_rows, config.embedding_size):
        place = folder / (config.index_files or [embeddings_name(0)])[0]
        raise ValueError(
            f"{str(place)!r} must hold {config.num_rows} vectors of {config.embedding_size} numbers, "
            f"got {len(index)} of {index.embedding_size}."
        )
    if check and isinstance(index, LanceIndex):
        index.check()
    return index
