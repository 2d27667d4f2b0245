"""`bank_config.json`: what a memory bank consists of, and which model it fits."""

import hashlib
import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from comem_hf.bank.scores.calibration import Calibration
from comem_hf.files.whole_file import write_durably

from .file_names import (
    CHANGED_FILE,
    FILE_NAME,
    INDEX_FILE,
    INDEX_NAME,
    PART_FILE,
    REMOVED_FILE,
    WORDS_FILE,
    embeddings_name,
    items_name,
    memory_name,
    number_in,
)
from .precision import EXACT, MEMORY_DTYPES, check_encoder_precision


CONFIG_NAME = "bank_config.json"
FORMAT_VERSION = 1
NEWEST_FORMAT = 2  # of banks that have what versions which read format 1 do not know
METRICS = ("cosine", "l2")
FIRST_PICTURE_RULES = 1  # of banks that do not say

_TABLE = re.compile(r"[\w-]+")
_EXACT = {"file": INDEX_NAME, "factory": "Flat", "nprobe": None, "recall": 1.0}
_COUNTS = ("num_items", "num_memory_tokens", "hidden_size", "embedding_size")


def check_metric(metric: str) -> None:
    """Raise a `ValueError` if there is no such metric."""
    if metric not in METRICS:
        raise ValueError(f"`metric` must be one of {', '.join(METRICS)}, got {metric!r}.")


@dataclass
class BankConfig:
    """Description of a memory bank, stored as `bank_config.json`.

    Args:
        num_items (`int`): Items in the bank, removed ones not counted.
        num_memory_tokens (`int`): Memory vectors per item.
        hidden_size (`int`): Length of a memory vector.
        memory_dtype (`str`): How memory vectors are stored: `"float32"`, `"bfloat16"`, `"float16"`, `"int8"` or
            `"int4"` (see [`pack`]).
        memory_fingerprint (`str`): `memory_fingerprint()` of the model that encoded the items.
        model (`dict`): `{"id": str or None, "revision": str or None}` of that model.
        embedder (`dict`): `{"type": "backbone" or "model", "id", "revision", ...}`: the embedder of queries.
        embedding_size (`int`): Length of an embedding.
        shard_sizes (`list[int]`): Rows per shard, removed ones included. Rows are numbered through all shards, so the
            row of an item never changes.
        files (`dict[str, dict]`): `{"sha256": str, "size": int}` of every file but this one.
        metric (`str`): How embeddings are compared: `"cosine"` or `"l2"` (Euclidean distance).
        index (`dict`): `{"file": str, "factory": str, "nprobe": int or None, "recall": float}`: the index's file, its
            FAISS factory string, the number of inverted lists that a search looks through (`None` if there are no
            lists), and the share of the exact ten nearest neighbours that it found when it was built. An index that
            is not one FAISS file has a `"kind"`, and in place of `"file"` what that kind needs (see
            [`comem_hf.bank.index.kinds`]).
        words (`dict`, *optional*): `{"file": str, "rules": int}`: the file of the words index, and the number of the
            rules by which texts were taken apart into words (see [`words_of`]). Banks of older versions have none;
            theirs is made in memory at the first search by words.
        generation (`int`): Number of changes to the bank since it was built.
        removed (`str` or `None`): Name of the file that lists the removed rows, if there are any.
        changed_metadata (`str` or `None`): Name of the file with the metadata of rows that was changed since the rows
            were written, if there is any.
        license (`str`, *optional*): Licence of the items, by the Hub's identifier (`"cc-by-sa-4.0"`).
        picture_rules (`int`): Number of the rules of [`load_image`] by which the pictures were read, the lowest one if
            they differ; 1 if `bank_config.json` does not say.
        cut_texts (`int`, defaults to 0): Items whose text is longer than the 5,000 characters that the memory encoder
            reads. Banks of earlier versions did not count them.
        precision (`str`, defaults to `"float32"`): In which precision the model was loaded that made the vectors, the
            coarsest if they differ: `"float32"` (exact; of bfloat16, too), `"float16"`, `"8 bit"`, `"4 bit"` or
            `"few bits"`. `bank_config.json` has it only if it is not exact.
        processor (`dict`, *optional*): Settings of the processor that decide the vectors of items (see
            [`item_settings`]); banks of older versions have none.
        calibration (`dict`, *optional*): How scores become probabilities (see [`Calibration`]); banks of older
            versions and those of a few items have none.
        format_version (`int`): Version of the layout; newer ones are refused. It is the oldest one that knows all that
            the bank has: 2 with `changed_metadata` or if the index has a `"kind"`, else 1.
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
    words: dict | None = None
    generation: int = 0
    removed: str | None = None
    changed_metadata: str | None = None
    license: str | None = None
    picture_rules: int = FIRST_PICTURE_RULES
    cut_texts: int = 0
    precision: str = EXACT
    processor: dict | None = None
    calibration: dict | None = None
    format_version: int = 1

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
        _check_words(self.words)
        if not all(isinstance(size, int) and size > 0 for size in self.shard_sizes):
            raise ValueError(f"`shard_sizes` must be positive integers, got {self.shard_sizes!r}.")
        if not isinstance(self.generation, int) or isinstance(self.generation, bool) or self.generation < 0:
            raise ValueError(f"`generation` must be an integer from 0, got {self.generation!r}.")
        if self.removed is not None and not REMOVED_FILE.fullmatch(str(self.removed)):
            raise ValueError(f"`removed` must be a name such as 'removed-00001.safetensors', got {self.removed!r}.")
        if self.changed_metadata is not None and not CHANGED_FILE.fullmatch(str(self.changed_metadata)):
            raise ValueError(
                f"`changed_metadata` must be a name such as 'metadata-00001.parquet', got {self.changed_metadata!r}."
            )
        self.format_version = (
            FORMAT_VERSION if self.changed_metadata is None and "kind" not in self.index else NEWEST_FORMAT
        )
        if self.num_items > self.num_rows or (self.num_items < self.num_rows) != (self.removed is not None):
            raise ValueError(
                f"`shard_sizes` add up to {self.num_rows} items, but `num_items` is {self.num_items}"
                + (f" and `removed` {self.removed!r}." if self.removed else ".")
            )
        later = [name for name in self._changing_files() if number_in(name) > self.generation]
        if later:  # the next change would write into a file that readers have open
            raise ValueError(f"`generation` is {self.generation}, but {later[0]!r} belongs to a later generation.")
        if not isinstance(self.picture_rules, int) or isinstance(self.picture_rules, bool) or self.picture_rules < 1:
            raise ValueError(f"`picture_rules` must be an integer from 1, got {self.picture_rules!r}.")
        if not isinstance(self.cut_texts, int) or isinstance(self.cut_texts, bool) or self.cut_texts < 0:
            raise ValueError(f"`cut_texts` must be an integer from 0, got {self.cut_texts!r}.")
        check_encoder_precision(self.precision)
        if not isinstance(self.license, str | None):
            raise ValueError(f"`license` must be an identifier such as 'cc-by-sa-4.0', got {self.license!r}.")
        if not isinstance(self.processor, dict | None):
            raise ValueError(f"`processor` must be a mapping or null, got {self.processor!r}.")
        _ = self.readable_calibration  # refuses a damaged block
        for name, entry in self.files.items():
            if not FILE_NAME.fullmatch(name):
                raise ValueError(f"`files` names {name!r}, which is not a file of a memory bank.")
            if not (isinstance(entry, dict) and "sha256" in entry and isinstance(entry.get("size"), int)):
                raise ValueError(f"`files` must give 'sha256' and 'size' of {name!r}, got {entry!r}.")

    @property
    def num_rows(self) -> int:
        """Items that the shards hold, removed ones included."""
        return sum(self.shard_sizes)

    @property
    def readable_calibration(self) -> Calibration | None:
        """`calibration` as this version reads it; `None` if there is none, or a later version made it."""
        return Calibration.of_block(self.calibration)

    @cached_property
    def shard_ends(self) -> list[int]:
        """Row at which each shard ends."""
        return list(accumulate(self.shard_sizes))

    def refuse_other_model(self, fingerprint: str | None, model: str, bank: str, way_out: str = "") -> None:
        """Refuse a model that is not the one that encoded the bank.

        Args:
            fingerprint (`str`, *optional*): `memory_fingerprint` of the model.
            model, bank (`str`): Their names, for the message.
            way_out (`str`, *optional*): Another sentence at the end of the message.

        Raises:
            ValueError: If the fingerprint differs from the bank's, or is `None`.
        """
        if fingerprint is None:
            raise ValueError(
                f"Cannot tell whether the bank {bank!r} fits: config.json of {model} has no `memory_fingerprint`; "
                "load the model and save it again."
            )
        if fingerprint != self.memory_fingerprint:
            raise ValueError(
                f"The bank {bank!r} does not fit {model}: it was made by the memory encoder "
                f"{self.memory_fingerprint}, but this model's is {fingerprint}. Use the bank's own model, or build "
                f"the bank again.{way_out and ' '}{way_out}"
            )

    @property
    def index_files(self) -> list[str]:
        """Names of the FAISS files of the index; none if it is a table of a database."""
        return self.index.get("files", []) if "kind" in self.index else [self.index["file"]]

    @property
    def stores_embeddings(self) -> bool:
        """Whether files hold the embeddings, as no FAISS file does."""
        return not self.index_files

    def data_files(self) -> list[str]:
        """Names of the bank's data files: those that a change replaces, memory and items of all shards."""
        shards = range(len(self.shard_sizes))
        return [
            *self._changing_files(),
            *(embeddings_name(shard) for shard in shards if self.stores_embeddings),
            *(memory_name(shard) for shard in shards),
            *(items_name(shard) for shard in shards),
        ]

    def group_by_shard(self, rows: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
        """Sort rows of the bank by the shard they lie in.

        Args:
            rows (`Sequence[int]`): Rows, in any order.

        Returns:
            `dict[int, list[tuple[int, int]]]`: shard → (place in `rows`, row inside the shard) of each of its rows.

        Raises:
            IndexError: If a row lies outside the bank.
        """
        groups = defaultdict(list)
        for place, row in enumerate(rows):
            if not 0 <= row < self.shard_ends[-1]:
                raise IndexError(f"Row {row} lies outside a bank of {self.num_rows} items.")
            shard = bisect_right(self.shard_ends, row)
            groups[shard].append((place, row - (self.shard_ends[shard - 1] if shard else 0)))
        return dict(groups)

    def row_digests(self, rows: Sequence[int]) -> list[str]:
        """Return, for each row, a digest of its shard and its place there.

        The digest stays the same when items are added or removed, and no other item has the same one.
        """
        digests = [""] * len(rows)
        for shard, places in self.group_by_shard(rows).items():
            checksums = self.files[memory_name(shard)]["sha256"] + self.files[items_name(shard)]["sha256"]
            for place, row in places:
                digests[place] = hashlib.sha256(f"{checksums} {row}".encode()).hexdigest()
        return digests

    def to_json(self) -> str:
        """The text of `bank_config.json`."""
        values = asdict(self)
        for name in ("processor", "calibration", "words", "changed_metadata"):
            if values[name] is None:  # a bank of an older version stays as it is
                del values[name]
        if self.precision == EXACT:
            del values["precision"]
        return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def save(self, folder: Path) -> None:
        """Write `bank_config.json` into `folder`, whole or not at all."""
        write_durably(folder / CONFIG_NAME, lambda path: path.write_text(self.to_json(), encoding="utf-8"))

    def _changing_files(self) -> list[str]:
        """Names of the files that a change of the bank replaces."""
        words = self.words["file"] if self.words else None
        return [*self.index_files, *filter(None, (words, self.removed, self.changed_metadata))]

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
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"{str(path)!r} is no bank configuration: `format_version` is {version!r}.")
        if version > NEWEST_FORMAT:
            raise ValueError(
                f"{str(folder)!r} has bank format {version}; this version of comem_hf reads formats up to "
                f"{NEWEST_FORMAT}. Upgrade comem_hf to open it."
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
    kind = index.get("kind")
    if "kind" not in index:
        if not INDEX_FILE.fullmatch(str(index.get("file"))):
            raise ValueError(f"`index` must name its 'file', 'index.faiss' or 'index-00001.faiss', got {index!r}.")
    elif kind == "shards":
        names, rows = index.get("files"), index.get("rows_per_part")
        if not isinstance(names, list) or not names or not all(PART_FILE.fullmatch(str(name)) for name in names):
            raise ValueError(f"`index` must list its 'files', such as 'index-00000-part-00000.faiss', got {index!r}.")
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise ValueError(f"`index` must have a positive integer as 'rows_per_part', got {rows!r}.")
    elif kind == "lancedb":
        if not isinstance(index.get("uri"), str) or not _TABLE.fullmatch(str(index.get("table"))):
            raise ValueError(f"`index` must name the 'uri' and the 'table' of a LanceDB database, got {index!r}.")
    else:
        raise ValueError(f"`index` must be of the kind 'shards' or 'lancedb', or without a 'kind', got {kind!r}.")
    if not isinstance(index.get("factory"), str):
        raise ValueError(f"`index` must have a 'factory', a FAISS factory string, got {index!r}.")
    nprobe = index.get("nprobe")
    if nprobe is not None and (not isinstance(nprobe, int) or isinstance(nprobe, bool) or nprobe < 1):
        raise ValueError(f"`index` must have a positive integer or null as 'nprobe', got {nprobe!r}.")


def _check_words(words: dict | None) -> None:
    if words is None:
        return
    if not isinstance(words, dict) or not WORDS_FILE.fullmatch(str(words.get("file"))):
        raise ValueError(f"`words` must name its 'file', such as 'words.safetensors', or be null, got {words!r}.")
    rules = words.get("rules")
    if not isinstance(rules, int) or isinstance(rules, bool) or rules < 1:
        raise ValueError(f"`words` must have the number of its 'rules', an integer from 1, got {words!r}.")
