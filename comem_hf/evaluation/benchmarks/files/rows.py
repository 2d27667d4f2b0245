"""Rows of benchmark files: what they hold, checked, and where they stand."""

import ast
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any


LONGEST_CELL = 2**31 - 1  # characters: a cell of a CSV file may hold a picture

_MISSING = object()


class Row:
    """A row of a file, which names its place when a field is not as it should be.

    Args:
        file (`Path` or `str`): The file, or what else the row comes from.
        place (`str`): Its place in there: `"line 3"`.
        fields (`dict`): The fields.
    """

    __slots__ = ("fields", "file", "place")

    def __init__(self, file: Path | str, place: str, fields: dict[str, Any]):
        self.file = file
        self.place = place
        self.fields = fields

    @property
    def where(self) -> str:
        """File and place, for messages."""
        return f"{str(self.file)!r}, {self.place}"

    def text(self, name: str) -> str:
        """A field that must be a string; it may be empty."""
        value = self.fields.get(name, _MISSING)
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def filled(self, name: str) -> str:
        """A field that must be a string with something in it."""
        value = self.text(name)
        if not value.strip():
            raise self.wrong(name, "a string that is not empty")
        return value

    def id(self, name: str) -> str:
        """An id, which may be a whole number."""
        value = self.fields.get(name, _MISSING)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.filled(name)

    def whole(self, name: str, below: int | None = None) -> int:
        """A field that must be a whole number from 0, and below `below` if that is given."""
        value = self.fields.get(name, _MISSING)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0 or below is not None and value >= below:
            raise self.wrong(name, "a whole number from 0" + (f" to {below - 1}" if below is not None else ""))
        return value

    def flag(self, name: str) -> bool:
        """A field that must be true or false."""
        value = self.fields.get(name, _MISSING)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """A field that must be a list of strings, at least one."""
        value = self.fields.get(name, _MISSING)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise self.wrong(name, "a list of strings")
        return value

    def listed(self, name: str) -> list[str]:
        """A list of strings, or the text that Python writes for one, as some tables have it."""
        text = self.fields.get(name, _MISSING)
        if not isinstance(text, str):
            return self.texts(name)
        value = literal(text)
        # Python reads ['a' 'b'], the text of a numpy array, as one joined string.
        joined = isinstance(value, list) and len(value) == 1 and value[0] != text.strip()[2:-2]
        if not isinstance(value, list) or joined or not value or not all(isinstance(each, str) for each in value):
            raise self.wrong(name, "a list of strings, or the text of one")
        return value

    def has(self, *names: str) -> bool:
        """Whether all these fields are there, and not null."""
        return all(self.fields.get(name) is not None for name in names)

    def wrong(self, name: str, expected: str) -> ValueError:
        """The error to raise for a field."""
        value = self.fields.get(name, _MISSING)
        if value is _MISSING:
            return ValueError(f"{self.where}: `{name}` is missing; it must be {expected}.")
        return ValueError(f"{self.where}: `{name}` must be {expected}, got {_short(value)}.")


class UniqueIds:
    """Ids of rows, each of which may come once.

    Args:
        name (`str`): The field that holds the id.
    """

    def __init__(self, name: str):
        self._name = name
        self._rows: dict[str, tuple[Path | str, str]] = {}

    def take(self, row: Row) -> str:
        """Return the id of a row.

        Raises:
            ValueError: If an earlier row has it; both are named.
        """
        found = row.id(self._name)
        if found in self._rows:
            file, place = self._rows[found]
            first = place if file == row.file else f"{str(file)!r}, {place}"
            raise ValueError(f"{row.where}: `{self._name}` {found!r} is that of {first} already; ids must be unique.")
        self._rows[found] = (row.file, row.place)
        return found


def file_of(folders: Iterable[Path], *names: str) -> Path | None:
    """Return the first of these files in the first folder that has one; `None` if there is none."""
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def needed_file(folder: Path, *names: str) -> Path:
    """Return the first of these files that is in a folder.

    Raises:
        ValueError: If none is.
    """
    path = file_of([folder], *names)
    if path is None:
        raise ValueError(
            f"{str(folder)!r} has no {' or '.join(names)}; docs/how-to/benchmarks.md lists each benchmark's files."
        )
    return path


def literal(text: str) -> Any:
    """Read a Python literal (which runs nothing); `None` if the text is none."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def json_lines(path: Path) -> Iterator[Row]:
    """Read the objects of a JSONL file one after the other.

    Raises:
        ValueError: If the file cannot be read, or a line is no JSON object, as where a download broke off.
    """
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                fields = json.loads(text)
            except (ValueError, RecursionError) as error:
                reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
                raise ValueError(
                    f"{str(path)!r}, line {number} is no valid JSON ({reason}); if it was cut off, fetch it again."
                ) from error
            if not isinstance(fields, dict):
                raise ValueError(f"{str(path)!r}, line {number} must be a JSON object, got {_short(fields)}.")
            yield Row(path, f"line {number}", fields)


def whole_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: If the file cannot be read or is no valid JSON; the line is named.
    """
    with _opened(path) as file:
        try:
            return json.loads(file.read().decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{str(path)!r}, line {error.lineno} is no valid JSON ({error.msg} at column {error.colno}); if it "
                "was cut off, fetch it again."
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{str(path)!r} is no valid JSON ({error}).") from error


def json_entries(path: Path, name: str | None = None) -> Iterator[Row]:
    """Read the objects of a JSON file that is a list, or has one under `name`.

    Raises:
        ValueError: If the file cannot be read, or there is no such list of objects in it.
    """
    entries = whole_json(path)
    place = "entry"
    if name is not None:
        if not isinstance(entries, dict) or name not in entries:
            raise ValueError(f"{str(path)!r} must be a JSON object with a list `{name}`.")
        entries, place = entries[name], f"entry of `{name}`"
    if not isinstance(entries, list):
        raise ValueError(f"{str(path)!r} must hold a list{f' `{name}`' if name else ''}, got {_short(entries)}.")
    for number, fields in enumerate(entries, start=1):
        if not isinstance(fields, dict):
            raise ValueError(f"{str(path)!r}, {place} {number} must be a JSON object, got {_short(fields)}.")
        yield Row(path, f"{place} {number}", fields)


def csv_records(path: Path) -> Iterator[tuple[int, Row]]:
    """Read the records of a CSV file with a header, and the byte at which each begins.

    Raises:
        ValueError: If the file cannot be read, or a record has more or fewer cells than the header.
    """
    with _opened(path) as file:
        reader = csv.reader(_decoded(path, file), strict=True)
        header: list[str] | None = None
        while True:
            start, line = file.tell(), reader.line_num + 1
            before = csv.field_size_limit(LONGEST_CELL)
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise ValueError(
                    f"{str(path)!r}, line {line} is no valid CSV ({error}); if the file was cut off, fetch it again."
                ) from error
            finally:
                csv.field_size_limit(before)
            if cells is None:
                return
            if header is None:
                header = cells
            elif cells:
                if len(cells) != len(header):
                    raise ValueError(f"{str(path)!r}, line {line} has {len(cells)} cells, the header {len(header)}.")
                yield start, Row(path, f"line {line}", dict(zip(header, cells, strict=True)))


def _decoded(path: Path, file: Any) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{str(path)!r}, line {number} is not UTF-8 ({error}).") from error


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise ValueError(f"Cannot read {str(path)!r} ({error.strerror}).") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def chosen_columns(
    there: Sequence[str], columns: Sequence[str], optional: Sequence[str], picture: str | None, table: str
) -> list[str]:
    """Return the columns of a table to read, without the pictures.

    Args:
        there (`Sequence[str]`): The table's columns.
        columns (`Sequence[str]`): Those that are needed.
        optional (`Sequence[str]`): Those that may be missing.
        picture (`str`, *optional*): The column of pictures, which is needed, too.
        table (`str`): Name of the table, the beginning of a sentence.

    Raises:
        ValueError: If a column is missing.
    """
    needed = [*columns, *([picture] if picture else [])]
    if missing := [name for name in needed if name not in there]:
        raise ValueError(f"{table} has no column `{missing[0]}`; it has {list(there)}.")
    return [*columns, *(name for name in optional if name in there)]
