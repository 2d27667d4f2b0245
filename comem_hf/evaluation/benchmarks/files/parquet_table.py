"""Parquet files as the Hub has them, several per split, with pictures inside."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from transformers.utils import logging

from .picture_in_table import PictureInTable, picture_of_cell
from .rows import Row, chosen_columns


logger = logging.get_logger(__name__)

_ROWS_AT_ONCE = 512


def parquet_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Find the files of a split: `[data/]test-00000-of-00010.parquet` or `default/test/0000.parquet`.

    Args:
        folder (`Path`): The folder that was downloaded.
        names (`Sequence[str]`): Names that the split goes by.

    Returns:
        `list[Path]`: The files in the order of their numbers; some have one digit more than others.
    """
    for name in names:
        file = re.compile(rf"{re.escape(name)}(-\d+-of-\d+(-\w+)?)?\.parquet")
        for room in (folder, folder / "data"):
            if found := [path for path in room.glob("*.parquet") if file.fullmatch(path.name)]:
                return _complete(found)
        for room in (folder, folder / "default", folder / "parquet/default"):  # the Hub's own conversion
            if found := list((room / name).glob("*.parquet")):
                return _complete(found)
    return []


class ParquetTable:
    """The rows of several Parquet files, one after the other; of the pictures, one row group is in memory at a time.

    `notes` says which files are missing.

    Args:
        files (`Sequence[Path]`): The files.
        picture (`str`, *optional*): The column of pictures, `{"bytes", "path"}` each.
    """

    def __init__(self, files: Sequence[Path], picture: str | None = "image"):
        self.files = tuple(files)
        self.notes = _notes(self.files)
        self._picture = picture
        self._group: tuple[int, int] | None = None
        self._pictures: pa.Array | None = None
        self._counts: list[list[int]] = []  # rows of each group of each file
        for path in self.files:
            with _reading(path), pq.ParquetFile(path) as file:
                groups = range(file.num_row_groups)
                self._counts.append([file.metadata.row_group(group).num_rows for group in groups])
        self._starts = [0, *accumulate(sum(counts) for counts in self._counts)]

    def rows(
        self, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[Row, Path | PictureInTable | None]]:
        """Read the rows, without the pictures, and say where each picture is.

        Args:
            columns (`Sequence[str]`): The columns to read.
            optional (`Sequence[str]`, *optional*): Columns that may be missing.

        Raises:
            ValueError: If a file cannot be read or lacks a column.
        """
        for number, path in enumerate(self.files):
            with _reading(path), pq.ParquetFile(path) as file:
                there = file.schema_arrow.names
                chosen = chosen_columns(there, columns, optional, self._picture, repr(str(path)))
                row = 0
                for group in range(file.num_row_groups):
                    whole = self._picture is None or _has_all(file, group, f"{self._picture}.bytes")
                    for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=chosen):
                        for fields in batch.to_pylist():
                            place = self._starts[number] + row
                            picture = PictureInTable(self, place) if whole else self._find(place, path.parent)
                            row += 1
                            yield Row(path, f"row {row}", fields), picture if self._picture else None

    def read_picture(self, row: int) -> bytes:
        """Read the encoded picture of a row, counted from 0 through all files."""
        return self._cell(row)["bytes"]

    def _find(self, row: int, folder: Path) -> Path | PictureInTable | None:
        return picture_of_cell(self._cell(row), folder, self, row)

    def _cell(self, row: int) -> dict[str, Any] | None:
        number = bisect_right(self._starts, row) - 1
        begins = [0, *accumulate(self._counts[number])]
        inside = row - self._starts[number]
        group = bisect_right(begins, inside) - 1
        if self._group != (number, group):
            path = self.files[number]
            with _reading(path), pq.ParquetFile(path) as file:
                column = file.read_row_group(group, columns=[self._picture]).column(self._picture)
                self._pictures = column.combine_chunks()
            self._group = (number, group)
        cell = self._pictures[inside - begins[group]].as_py()
        if cell is not None and not isinstance(cell, dict):
            raise ValueError(
                f"{str(self.files[number])!r}, row {inside + 1}: `{self._picture}` must be a picture with `bytes` and "
                f"`path`, got {type(cell).__name__}."
            )
        return cell


def _has_all(file: pq.ParquetFile, group: int, leaf: str) -> bool:
    """Whether the file itself says that no picture of a row group is missing."""
    meta = file.metadata.row_group(group)
    for number in range(meta.num_columns):
        column = meta.column(number)
        if column.path_in_schema == leaf:
            statistics = column.statistics
            return statistics is not None and statistics.has_null_count and statistics.null_count == 0
    return False


def _complete(files: list[Path]) -> list[Path]:
    """The files in order; a warning if their names say that there are more."""
    for note in _notes(files):
        logger.warning(f"{str(files[0].parent)!r}: {note}")
    numbered = {path: _numbers(path) for path in files}
    return sorted(files, key=lambda path: (int(numbered[path][1]) if numbered[path] else 0, path.name))


def _notes(files: Sequence[Path]) -> tuple[str, ...]:
    """Say how many files are missing, if the names of the others tell it."""
    counts = [int(match[2]) for match in map(_numbers, files) if match and match[2]]
    if max(counts, default=0) <= len(files):
        return ()
    return (f"Only {len(files)} of the {max(counts)} files of the split are there: scores are of a part only.",)


def _numbers(path: Path) -> re.Match | None:
    return re.search(r"(?<![^-])(\d+)(?:-of-(\d+))?", path.stem)  # not the year of `val2014-00000-of-00002`


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Have Arrow's errors name the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{str(path)!r} is no Parquet file that can be read ({' '.join(str(error).split())}); if it was cut off, "
            "fetch it again."
        ) from error
