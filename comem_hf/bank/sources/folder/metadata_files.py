"""Metadata files of the Hub's image folders: `metadata.csv`, `metadata.jsonl` and `metadata.parquet`."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from comem_hf.bank.format.record import FILE_NAME
from comem_hf.bank.sources.rows.json_objects import read_objects
from comem_hf.bank.sources.rows.text_of_row import is_text_name
from comem_hf.bank.sources.rows.unreadable import UnreadableItem

from .csv_rows import csv_columns, read_csv


def check_metadata(paths: Sequence[Path]) -> None:
    """Refuse metadata files that cannot be read, before anything is encoded.

    Raises:
        ValueError: If a table is damaged or has no column `file_name`, a CSV file is not as [`csv_columns`] wants it,
            or a folder has two metadata files.
    """
    folders: dict[Path, Path] = {}
    for path in paths:
        other = folders.setdefault(path.parent, path)
        if other is not path:
            raise ValueError(
                f"The folder {str(path.parent)!r} holds {other.name} and {path.name}; keep the one that describes "
                "its pictures."
            )
    for path in paths:
        try:
            columns = _columns(path)
        except (OSError, ValueError, csv.Error) as error:
            raise ValueError(f"Cannot read {str(path)!r}: {error}") from error
        if columns is not None and FILE_NAME not in columns:
            raise ValueError(
                f"{str(path)!r} has no column `{FILE_NAME}`, which names the picture of each row; its columns are "
                f"{', '.join(map(str, columns))}."
            )


def read_metadata(path: Path) -> Iterator[tuple[str, dict[str, Any] | UnreadableItem]]:
    """Place (file and line or row) and fields of each row."""
    if path.suffix.lower() == ".jsonl":
        return read_objects(path)
    if path.suffix.lower() == ".csv":
        return read_csv(path, lambda name: name in (FILE_NAME, "id") or is_text_name(name))
    return _read_parquet(path)


def _columns(path: Path) -> list[str] | None:
    if path.suffix.lower() == ".jsonl":
        path.open("rb").close()
        return None  # each line has its own
    if path.suffix.lower() == ".csv":
        return csv_columns(path)
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).schema_arrow.names


def _read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(256):
            for row in batch.to_pylist():
                yield f"{str(path)!r}, row {number}", row
                number += 1
    except (OSError, pa.ArrowException) as error:  # nothing after it can be read
        raise ValueError(f"{str(path)!r}, row {number}: the file is damaged: {error}.") from error
