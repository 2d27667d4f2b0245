"""`bank_config.json`: what a memory bank is made of, and what it fits."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from .durable import write_durably
from .index import check_metric
from .precision import MEMORY_DTYPES


CONFIG_NAME = "bank_config.json"
INDEX_NAME = "index.faiss"
CARD_NAME = "README.md"
FORMAT_VERSION = 1

_INDEX_NAME = re.compile(r"index(-\d{5,})?\.faiss")
_FILE_NAME = re.compile(r"index(-\d{5,})?\.faiss|README\.md|memory-\d{5,}\.safetensors|items-\d{5,}\.parquet")
_EXACT = {"file": INDEX_NAME, "factory": "Flat", "nprobe": None, "recall": 1.0}
_COUNTS = ("num_items", "num_memory_tokens", "hidden_size", "embedding_size")


def memory_name(shard: int) -> str:
    """File name of a shard's memory vectors."""
    return f"memory-{shard:05d}.safetensors"


def items_name(shard: int) -> str:
    """File name of a shard's items."""
    return f"items-{shard:05d}.parquet"


@dataclass
class BankConfig:
    """Description of a memory bank, stored as `bank_config.json`.

    Args:
        num_items (`int`): Items in the bank.
        num_memory_tokens (`int`): Memory vectors per item.
        hidden_size (`int`): Length of a memory vector.
        memory_dtype (`str`): How memory vectors are stored: `"float32"`, `"bfloat16"`, `"float16"`, `"int8"` or
            `"int4"` (see [`pack`]).
        memory_fingerprint (`str`): `memory_fingerprint()` of the model that encoded the items.
        model (`dict`): `{"id": str or None, "revision": str or None}` of that model.
        embedder (`dict`): `{"type": "backbone" or "model", "id", "revision", ...}`: what embeds queries.
        embedding_size (`int`): Length of an embedding.
        shard_sizes (`list[int]`): Items per shard, in the order of the rows of the index.
        files (`dict[str, dict]`): `{"sha256": str, "size": int}` of every file but this one.
        metric (`str`): How embeddings are compared: `"cosine"` or `"l2"` (Euclidean distance).
        index (`dict`): `{"file": str, "factory": str, "nprobe": int or None, "recall": float}`: the index's file, its
            FAISS factory string, the inverted lists that a search looks through where there are such, and the share
            of the exact ten nearest neighbours that it found when it was built.
        format_version (`int`): Version of the layout; newer ones are refused.
    """

    num_items: int
    num_memory_tokens: int
    hidden_size: int
    memory_dtype: str
    memory_fingerprint: str
    model: dict
    embedder: dict
    embedding_size: int
    shard_sizes: list[int]
    files: dict[str, dict] = field(default_factory=dict)
    metric: str = "cosine"
    index: dict = field(default_factory=_EXACT.copy)
    format_version: int = FORMAT_VERSION

    def __post_init__(self):
        for name in _COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer, got {value!r}.")
        if self.memory_dtype not in MEMORY_DTYPES:
            raise ValueError(f"`memory_dtype` must be one of {', '.join(MEMORY_DTYPES)}, got {self.memory_dtype!r}.")
        check_metric(self.metric)
        if not isinstance(self.memory_fingerprint, str) or not self.memory_fingerprint:
            raise ValueError(f"`memory_fingerprint` must be a non-empty string, got {self.memory_fingerprint!r}.")
        for name in ("model", "embedder", "files", "index"):
            if not isinstance(getattr(self, name), dict):
                raise ValueError(f"`{name}` must be a mapping, got {getattr(self, name)!r}.")
        if not isinstance(self.embedder.get("type"), str):
            raise ValueError(f"`embedder` must have a 'type', got {self.embedder!r}.")
        _check_index(self.index)
        if not all(isinstance(size, int) and size > 0 for size in self.shard_sizes):
            raise ValueError(f"`shard_sizes` must be positive integers, got {self.shard_sizes!r}.")
        if sum(self.shard_sizes) != self.num_items:
            raise ValueError(
                f"`shard_sizes` add up to {sum(self.shard_sizes)} items, but `num_items` is {self.num_items}."
            )
        for name, entry in self.files.items():
            if not _FILE_NAME.fullmatch(name):
                raise ValueError(f"`files` names {name!r}, which is not a file of a memory bank.")
            if not (isinstance(entry, dict) and "sha256" in entry and isinstance(entry.get("size"), int)):
                raise ValueError(f"`files` must give 'sha256' and 'size' of {name!r}, got {entry!r}.")

    def data_files(self) -> list[str]:
        """Names of the files that hold the bank's data: the index, then memory and items of each shard."""
        shards = range(len(self.shard_sizes))
        return [
            self.index["file"],
            *(memory_name(shard) for shard in shards),
            *(items_name(shard) for shard in shards),
        ]

    @property
    def state(self) -> str:
        """Digest of the checksums of the data files: another one is another bank."""
        checksums = "".join(self.files[name]["sha256"] for name in self.data_files())
        return hashlib.sha256(checksums.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `bank_config.json` into `folder`, whole or not at all."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_durably(folder / CONFIG_NAME, lambda path: path.write_text(text, encoding="utf-8"))

    @classmethod
    def load(cls, folder: Path) -> "BankConfig":
        """Read and check `bank_config.json`.

        Raises:
            ValueError: If `folder` is no memory bank, its config is damaged, or its format is newer than this code.
        """
        path = folder / CONFIG_NAME
        if not path.is_file():
            raise ValueError(f"{str(folder)!r} is no memory bank: it has no {CONFIG_NAME}.")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{str(path)!r} is not valid JSON: {error}.") from error
        version = values.get("format_version") if isinstance(values, dict) else None
        if not isinstance(version, int):
            raise ValueError(f"{str(path)!r} is no bank configuration: `format_version` is {version!r}.")
        if version > FORMAT_VERSION:
            raise ValueError(
                f"{str(folder)!r} has bank format {version}; this version of comem_hf reads formats up to "
                f"{FORMAT_VERSION}. Upgrade comem_hf to open it."
            )
        known = {entry.name for entry in fields(cls)}
        try:
            config = cls(**{name: value for name, value in values.items() if name in known})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{str(path)!r} is damaged: {error}") from error
        unlisted = [name for name in config.data_files() if name not in config.files]
        if unlisted:
            raise ValueError(f"{str(path)!r} is damaged: `files` lacks {unlisted[0]!r}.")
        return config


def _check_index(index: dict) -> None:
    if not _INDEX_NAME.fullmatch(str(index.get("file"))):
        raise ValueError(f"`index` must name its 'file', 'index.faiss' or 'index-00001.faiss', got {index!r}.")
    if not isinstance(index.get("factory"), str):
        raise ValueError(f"`index` must have a 'factory', a FAISS factory string, got {index!r}.")
    nprobe = index.get("nprobe")
    if nprobe is not None and (not isinstance(nprobe, int) or isinstance(nprobe, bool) or nprobe < 1):
        raise ValueError(f"`index` must have a positive integer or null as 'nprobe', got {nprobe!r}.")
