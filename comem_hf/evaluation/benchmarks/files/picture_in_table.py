"""Pictures inside tables, read when they are needed: the tables of a benchmark hold gigabytes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .picture_files import named_picture


class PictureTable(Protocol):
    """A table that gives the encoded picture of each of its rows."""

    def read_picture(self, row: int) -> bytes:
        """Read the encoded picture of a row, counted from 0."""
        ...


@dataclass(frozen=True)
class PictureInTable:
    """The picture of a row of a table.

    Args:
        table (`PictureTable`): The table.
        row (`int`): The row, from 0.
    """

    table: PictureTable
    row: int

    def read(self) -> bytes:
        """Read the encoded picture. It is fastest in the order of the rows.

        Raises:
            ValueError: If the table cannot be read any more; it is named.
        """
        return self.table.read_picture(self.row)


def picture_of_cell(
    cell: Mapping[str, Any] | None, folder: Path | None, table: PictureTable, row: int
) -> Path | PictureInTable | None:
    """Where the picture of a cell `{"bytes", "path"}` is: in the table, in a file, or nowhere.

    Args:
        cell (`Mapping`, *optional*): The cell; its bytes need not be all there.
        folder (`Path`, *optional*): Where a path in it begins.
        table (`PictureTable`): The table that the cell is in.
        row (`int`): The row of the cell.
    """
    if not cell:
        return None
    if cell.get("bytes"):
        return PictureInTable(table, row)
    path = cell.get("path")
    if not isinstance(path, str) or not path:
        return None
    if Path(path).is_absolute():  # as `datasets` stores files of this machine
        return Path(path) if Path(path).is_file() else None
    return named_picture([folder], path) if folder is not None else None
