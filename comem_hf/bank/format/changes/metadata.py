"""Metadata that was changed: shards stay as they are, and a file beside them has what is now true of their rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.format.record import ItemRecord


@dataclass(frozen=True)
class ChangedMetadata:
    """The metadata of some rows.

    Args:
        rows (`np.ndarray`): The rows, int64, in ascending order.
        texts (`pyarrow.ChunkedArray` or `None`): Their metadata, each a JSON object; `None` if there are no rows.
    """

    rows: np.ndarray
    texts: Any = None

    def among(self, first: int, end: int) -> slice:
        """Places of the rows from `first` to before `end`."""
        return slice(*np.searchsorted(self.rows, [first, end]).tolist())

    def get(self, row: int) -> str | None:
        """The metadata of a row; `None` if it was not changed."""
        found = self.among(row, row + 1)
        return self.texts[found.start].as_py() if found.start < found.stop else None

    def updated(self, changes: Mapping[int, str]) -> "ChangedMetadata":
        """Return the same with the metadata of more rows, or of the same rows again."""
        import pyarrow as pa

        old = {} if self.texts is None else dict(zip(self.rows.tolist(), self.texts.to_pylist(), strict=True))
        now = dict(sorted((old | dict(changes)).items()))
        return ChangedMetadata(
            np.fromiter(now, np.int64, len(now)), pa.chunked_array([list(now.values())], pa.string())
        )

    def write(self, path: Path) -> None:
        """Write a file that [`read_changed`] reads."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"row": self.rows, "metadata": self.texts}), path, compression="zstd")


def read_changed(folder: Path, config: BankConfig) -> ChangedMetadata:
    """The changed metadata of a bank.

    Raises:
        ValueError: If its file is damaged, or does not match `config`.
    """
    if config.changed_metadata is None:
        return ChangedMetadata(np.empty(0, np.int64))
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / config.changed_metadata
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
        rows, texts = table["row"].to_numpy(), table["metadata"]
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {' '.join(str(error).split())}") from error
    good = len(rows) and rows.dtype == np.int64 and texts.type == pa.string() and not texts.null_count
    if not good or (np.diff(rows) <= 0).any() or rows[0] < 0 or rows[-1] >= config.num_rows:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold metadata of different rows below {config.num_rows}, in ascending "
            "order."
        )
    return ChangedMetadata(rows, texts)


class ChangedItems(StoredItems):
    """Items of a bank with the metadata that they have now.

    Args:
        folder, config, fetch: As for [`StoredItems`].
        changed ([`ChangedMetadata`]): What was changed.
    """

    def __init__(
        self,
        folder: Path,
        config: BankConfig,
        fetch: Callable[[list[str]], None] | None,
        changed: ChangedMetadata,
    ):
        super().__init__(folder, config, fetch)
        self.changed = changed

    def read_records(self, rows: list[int], with_images: bool = True) -> list[ItemRecord]:
        texts = [self.changed.get(row) for row in rows]
        records = super().read_records(rows, with_images)
        return [
            record if text is None else replace(record, metadata=text)
            for record, text in zip(records, texts, strict=True)
        ]

    def read_column(self, name: str) -> Iterator:
        columns = super().read_column(name)
        return columns if name != "metadata" else self._with_changes(columns)

    def _with_changes(self, columns: Iterator) -> Iterator:
        import pyarrow as pa
        import pyarrow.compute as pc

        first = 0
        for column in columns:
            places = self.changed.among(first, first + len(column))
            if places.start < places.stop:
                mask = np.zeros(len(column), dtype=bool)
                mask[self.changed.rows[places] - first] = True
                column = pc.replace_with_mask(column, pa.array(mask), self.changed.texts[places].combine_chunks())
            yield column
            first += len(column)


def open_items(
    folder: Path,
    config: BankConfig,
    fetch: Callable[[list[str]], None] | None = None,
    changed: ChangedMetadata | None = None,
) -> StoredItems:
    """Open the items of a bank.

    Args:
        folder, config, fetch: As for [`StoredItems`].
        changed ([`ChangedMetadata`], *optional*): The changed metadata, if it was read before.
    """
    changed = read_changed(folder, config) if changed is None else changed
    return ChangedItems(folder, config, fetch, changed) if len(changed.rows) else StoredItems(folder, config, fetch)
