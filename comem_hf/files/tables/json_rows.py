"""Rows of JSON files: an object a line, or a list of objects."""

import codecs
import io
import json
import re
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .opened import DAMAGED, check_whole, count_lines, open_bytes
from .table import Row, Table


_SPACE = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 16  # characters
_NEAR_THE_END = 16  # characters: nothing shorter than this is cut and yet an error of its own
_HEAD = 4096  # bytes


def json_table(path: Path) -> Table:
    """Open a JSON file: an object a line (`.jsonl`) or a list of objects, whichever it is; `.gz` if it is compressed.

    One row is in memory at a time.

    Args:
        path (`Path`): The file, in UTF-8.

    Raises:
        ValueError: If it cannot be read, is empty, or is neither.
    """
    check_whole(path)
    with open_bytes(path) as file:
        start = file.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{str(path)!r} is UTF-16, but JSON must be UTF-8: save the file as UTF-8.")
    name, is_lines = repr(str(path)), ".jsonl" in path.name.lower() or ".ndjson" in path.name.lower()
    if start[:1] == b"[" and not is_lines:
        return Table(name, None, partial(_entries, path))
    if not is_lines and (start[:1] != b"{" or not _is_object(start.partition(b"\n")[0])):
        raise ValueError(f"{name} must be a list of objects, or an object a line; it begins with {start[:40]!r}.")
    return Table(name, None, partial(_lines, path), partial(count_lines, path))


def parse_object(content: bytes) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        ValueError: If it is none; the message is about that line alone.
    """
    try:
        text = content.decode("utf-8-sig").strip()
        value = json.loads(text)
    except json.JSONDecodeError as error:  # its own words count lines from 1 again
        raise ValueError(f"{error.msg} at column {error.colno}: it is no valid JSON.") from error
    except RecursionError as error:
        raise ValueError(f"{error}.") from error
    return _checked(value, text)


def _checked(value: Any, text: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {text[:80]!r}.")
    return value


def _is_object(line: bytes) -> bool:
    try:
        parse_object(line)
    except ValueError:
        return len(line) >= _HEAD - 3  # the head ends in the middle of a long line
    return True


def _lines(path: Path, texts: Collection[str] = ()) -> Iterator[Row]:
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                where = f"{str(path)!r}, line {number}"
                try:
                    yield where, parse_object(line)
                except ValueError as error:
                    yield where, error
    except DAMAGED as error:
        raise ValueError(f"{str(path)!r}, line {number + 1}: the file is damaged: {error}.") from error


def _entries(path: Path, texts: Collection[str] = ()) -> Iterator[Row]:
    with io.TextIOWrapper(open_bytes(path), "utf-8-sig") as file:
        text, number = _Text(file), 0
        try:
            text.take("[")
            while text.next_letter() != "]":
                number += 1
                where = f"{str(path)!r}, entry {number} (line {text.line})"
                value, said = text.value()
                try:
                    yield where, _checked(value, said)
                except ValueError as error:
                    yield where, error
                if text.next_letter() != "]":
                    text.take(",")
            text.take("]")
            if text.next_letter():
                raise ValueError(f"expected nothing after the list, got {text.next_letter()!r}")
        except (RecursionError, ValueError, *DAMAGED) as error:  # a UnicodeDecodeError is a ValueError
            raise ValueError(
                f"{str(path)!r}, line {text.line}, column {text.column}: it is no valid JSON: {error}; nothing after "
                "it can be read."
            ) from error


class _Text:
    """The text of a file, of which no more is held than the value that is read."""

    def __init__(self, file: io.TextIOWrapper):
        self._file = file
        self._text, self._at = "", 0
        self._lines_before, self._columns_before = 0, 0
        self._decoder = json.JSONDecoder()

    @property
    def line(self) -> int:
        return self._lines_before + self._text.count("\n", 0, self._at) + 1

    @property
    def column(self) -> int:
        start = self._text.rfind("\n", 0, self._at) + 1
        return self._at - start + (0 if start else self._columns_before) + 1

    def next_letter(self) -> str:
        """The next character that is no space; `""` at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, letter: str) -> None:
        """Go past a character that must come next."""
        if (found := self.next_letter()) != letter:
            raise ValueError(f"expected {letter!r}, got {found!r}" if found else f"the file ends before {letter!r}")
        self._at += 1

    def value(self) -> tuple[Any, str]:
        """Go past a value; return it and the beginning of its text."""
        self.next_letter()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end == len(self._text) and self._more():  # a number may go on
                    continue
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self._text) - _NEAR_THE_END
                if is_cut and self._more():
                    continue
                self._at = error.pos
                raise ValueError(error.msg) from error
            said = self._text[self._at : min(end, self._at + 80)]
            self._at = end
            return value, said

    def _more(self) -> bool:
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))  # so that a long value is not read often
        if not chunk:
            return False
        column = self.column - 1
        self._lines_before = self.line - 1
        self._columns_before = column
        self._text, self._at = self._text[self._at :] + chunk, 0
        return True
