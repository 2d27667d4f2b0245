"""Metadata files of the Hub's image folders: `metadata.csv`, `metadata.jsonl` and `metadata.parquet`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from comem_hf.bank.format.record import FILE_NAME
from comem_hf.bank.sources.files.table_files import open_table
from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.files.tables.table import Table, no_column


def open_metadata(paths: Sequence[Path], columns: Columns, encoding: str | None = None) -> dict[Path, Table]:
    """Open metadata files, and refuse those that cannot be read, before anything is encoded.

    Args:
        paths (`Sequence[Path]`): The files.
        columns ([`Columns`]): Those with a meaning; that of the picture is `file_name` if it is not given.
        encoding (`str`, *optional*): Of CSV files; found out if not given.

    Raises:
        ValueError: If a file is damaged or has not all these columns, or a folder has two metadata files.
    """
    folders: dict[Path, Path] = {}
    for path in paths:
        other = folders.setdefault(path.parent, path)
        if other is not path:
            raise ValueError(
                f"The folder {str(path.parent)!r} holds {other.name} and {path.name}; keep the one that describes "
                "its pictures."
            )
    tables = {path: open_table(path, encoding) for path in paths}
    for table in tables.values():
        if table.columns is not None and columns.image is None and FILE_NAME not in table.columns:
            raise ValueError(
                f"{table.name} has no column `{FILE_NAME}`, which names the picture of each row; its columns are "
                f"{', '.join(map(str, table.columns))}."
            )
        for given in filter(None, (columns.image, columns.text, columns.id)):
            if table.columns is not None and given not in table.columns:
                raise no_column(table.name, given, table.columns)
    return tables


def read_metadata(table: Table, columns: Columns) -> Iterator[tuple[str, dict[str, Any] | UnreadableItem]]:
    """Place (file and line or row) and fields of each row."""
    for where, row in table.read(columns.hold_text(table)):
        yield where, UnreadableItem(f"{where}: {row}") if isinstance(row, ValueError) else row
