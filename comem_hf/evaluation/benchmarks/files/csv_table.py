"""A CSV file whose cells hold pictures, as the CoMEM release's `questions.csv` does."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from .picture_in_table import PictureInTable
from .rows import LONGEST_CELL, Row, csv_records, literal


class CsvTable:
    """The rows of a CSV file; pictures are cells `{'bytes': b'...', 'path': None}`, read again when they are needed.

    Args:
        path (`Path`): The file.
        picture (`str`, *optional*): The column of pictures.
    """

    def __init__(self, path: Path, picture: str = "image"):
        self.files = (path,)
        self.notes: tuple[str, ...] = ()
        self._path = path
        self._picture = picture
        self._column = 0
        self._starts: dict[int, tuple[int, str]] = {}

    def rows(
        self, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[Row, PictureInTable | None]]:
        """Read the rows, without the pictures, and say where each picture is.

        Args:
            columns (`Sequence[str]`): The columns to read.
            optional (`Sequence[str]`, *optional*): Columns that may be missing.

        Raises:
            ValueError: If the file cannot be read or lacks a column.
        """
        for number, (start, row) in enumerate(csv_records(self._path)):
            there = list(row.fields)
            if missing := [name for name in (*columns, self._picture) if name not in row.fields]:
                raise ValueError(f"{str(self._path)!r} has no column `{missing[0]}`; it has {there}.")
            self._column = there.index(self._picture)
            self._starts[number] = (start, row.place)
            cell = row.fields[self._picture].lstrip()
            picture = PictureInTable(self, number) if cell.startswith(("{'bytes': b'", "{'bytes': b\"")) else None
            chosen = {name: row.fields[name] for name in (*columns, *optional) if name in row.fields}
            yield Row(self._path, row.place, chosen), picture

    def read_picture(self, row: int) -> bytes:
        """Read the encoded picture of a row, counted from 0."""
        start, place = self._starts[row]
        before = csv.field_size_limit(LONGEST_CELL)
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                cells = next(csv.reader((line.decode("utf-8-sig") for line in file), strict=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"Cannot read {str(self._path)!r}, {place} ({error}).") from error
        finally:
            csv.field_size_limit(before)
        value = literal(cells[self._column])
        if not isinstance(value, dict) or not isinstance(value.get("bytes"), bytes):
            raise ValueError(f"{str(self._path)!r}, {place}: `{self._picture}` is no picture with `bytes`.")
        return value["bytes"]
