"""Stored items: Parquet shards of text, image bytes and metadata."""

import json
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path

from comem_hf.modeling.memory_item import MemoryItem

from .config import BankConfig
from .file_names import items_name
from .record import ItemRecord
from .replaced import ReplacementCheck


# Reading a hit reads one row group. Small groups keep that cheap; 32 rows per group keep the footer small.
ROWS_PER_GROUP = 32
# Fewer rows of photographs: a group lies in memory whole, several times over while it is written.
BYTES_PER_GROUP = 2**24

# Footers that are kept, about 40 kB each. Files are closed after each read: systems allow about a thousand open ones.
_KEPT_FOOTERS = 2048


@cache
def _schema():
    import pyarrow as pa

    # The `huggingface` entry is what the `datasets` library and the Hub's viewer read to show the images.
    string = {"dtype": "string", "_type": "Value"}
    features = {"id": string, "text": string, "image": {"_type": "Image"}, "metadata": string}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("text", pa.string()),
            pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            pa.field("metadata", pa.string(), nullable=False),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )


def write_items(path: Path, records: Iterable[ItemRecord]) -> None:
    """Write one shard of items, one row group at a time: each group takes memory in addition to the records."""
    import pyarrow.parquet as pq

    # Nothing reads the statistics, and they would be most of the footer, which is read with the first item.
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    with pq.ParquetWriter(path, _schema(), **options) as writer:
        for group in _groups(records):
            writer.write_table(_table(group))


def _groups(records: Iterable[ItemRecord]) -> Iterator[list[ItemRecord]]:
    group, size = [], 0
    for record in records:
        length = 0 if record.image is None else len(record.image)
        if group and (len(group) == ROWS_PER_GROUP or size + length > BYTES_PER_GROUP):
            yield group
            group, size = [], 0
        group.append(record)
        size += length
    if group:
        yield group


def _table(records: list[ItemRecord]):
    import pyarrow as pa

    columns = {
        "id": [record.id for record in records],
        "text": [record.text for record in records],
        "image": [
            None if record.image is None else {"bytes": record.image_bytes(), "path": record.image_name}
            for record in records
        ],
        "metadata": [record.metadata for record in records],
    }
    return pa.table(columns, schema=_schema())


class StoredItems:
    """Items of a bank; a read touches only the row groups of the requested rows.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration, which the shards must match.
        fetch (`Callable[[list[str]], None]`, *optional*): Called with names of files before they are first read.
    """

    def __init__(self, folder: Path, config: BankConfig, fetch: Callable[[list[str]], None] | None = None):
        self.folder = folder
        self.config = config
        self.fetch = fetch
        self._replacement = ReplacementCheck(folder, config)
        self._footer = lru_cache(_KEPT_FOOTERS)(self._read_footer)
        self._lock = threading.Lock()

    def read(self, rows: list[int]) -> list[MemoryItem]:
        """Items of the given rows, in the order of `rows`.

        Raises:
            ValueError: If a shard is damaged or a stored image cannot be opened.
        """
        return [self._to_item(record) for record in self.read_records(rows)]

    def read_records(self, rows: list[int], with_images: bool = True) -> list[ItemRecord]:
        """Stored records of the given rows, in the order of `rows`; images are not opened.

        Args:
            rows (`list[int]`): The rows.
            with_images (`bool`, defaults to `True`): Whether records have their images, which are most of the bytes.

        Raises:
            ValueError: If a shard is damaged.
        """
        records = [None] * len(rows)
        shards = self.config.group_by_shard(rows)
        columns = None if with_images else [name for name in _schema().names if name != "image"]
        if self.fetch is not None:  # all at once, and before the lock: other threads go on reading
            self.fetch([items_name(shard) for shard in shards])
        with self._replacement.noticed(), self._lock:  # a pyarrow file is not made for concurrent reads
            for shard, places in shards.items():
                file, group_ends = self._open(shard)
                groups = defaultdict(list)
                for place, row in places:
                    group = bisect_right(group_ends, row)
                    start = group_ends[group - 1] if group else 0
                    groups[group].append((place, row - start))
                for group, members in groups.items():
                    with self._plain_errors(shard):
                        table = file.read_row_group(
                            group, columns, use_threads=False
                        )  # starting threads would take longer
                    for place, row in members:
                        records[place] = self._to_record(table.slice(row, 1).to_pylist()[0])
        return records

    def read_ids(self) -> list[str]:
        """Ids of all items, in the order of rows."""
        return [item_id for column in self.read_column("id") for item_id in column.to_pylist()]

    def read_column(self, name: str) -> Iterator:
        """One column of all items, a `pyarrow.ChunkedArray` per shard."""
        shards = range(len(self.config.shard_sizes))
        if self.fetch is not None:
            self.fetch([items_name(shard) for shard in shards])
        for shard in shards:
            with self._replacement.noticed(), self._lock, self._plain_errors(shard):
                column = self._open(shard)[0].read(columns=[name], use_threads=False).column(name)
            yield column

    @staticmethod
    def _to_record(row: dict) -> ItemRecord:
        image = row.get("image") or {"bytes": None, "path": None}
        return ItemRecord(row["id"], row["text"], image["bytes"], image["path"], row["metadata"])

    @staticmethod
    def _to_item(record: ItemRecord) -> MemoryItem:
        try:
            return record.to_item()
        except ValueError as error:
            raise ValueError(f"Stored item {record.id!r}: {error}") from error

    @contextmanager
    def _plain_errors(self, shard: int) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            path = self.folder / items_name(shard)
            raise ValueError(f"{str(path)!r} is damaged: {' '.join(str(error).split())}") from error

    def _open(self, shard: int):
        """A shard's Parquet file, and the row of the shard at which each of its row groups ends."""
        import pyarrow.parquet as pq

        metadata, group_ends = self._footer(shard)
        return pq.ParquetFile(self.folder / items_name(shard), metadata=metadata, pre_buffer=False), group_ends

    def _read_footer(self, shard: int):
        import pyarrow.parquet as pq

        path = self.folder / items_name(shard)
        with self._plain_errors(shard):
            file = pq.ParquetFile(path, pre_buffer=False)  # buffering hands the reading to another thread
        expected = self.config.shard_sizes[shard]
        if file.metadata.num_rows != expected or not file.schema_arrow.equals(_schema()):
            raise ValueError(
                f"{str(path)!r} must hold {expected} rows of id, text, image and metadata, "
                f"got {file.metadata.num_rows} rows of {', '.join(file.schema_arrow.names)}."
            )
        sizes = (file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups))
        return file.metadata, list(accumulate(sizes))
