"""Rows of a CSV file, with numbers as numbers."""

import codecs
import csv
import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from comem_hf.bank.sources.rows.unreadable import UnreadableItem


_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][-+]?\d{1,3})?")  # `007` is no number: its zeros would be lost
_MISSING = {"", "nan", "null"}
_MISSING_NUMBER = {*_MISSING, "na", "n/a", "none"}
_HINT = "separate its columns by commas, and save it as UTF-8"
_FIELD_LIMIT = 10 * 2**20  # characters, far above Python's own limit


def csv_columns(path: Path) -> list[str]:
    """Names of the columns, without spaces around them.

    Raises:
        ValueError: If there are none, one is there twice, or the file is not UTF-8 or not separated by commas.
    """
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise ValueError(f"it is UTF-16: {_HINT}.")
    with _open(path) as file:
        line = file.readline()
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the names of its columns are not UTF-8: {_HINT}.") from error
    if "\0" in line:
        raise ValueError(f"it is not UTF-8 text: {_HINT}.")
    names = _names(path)
    if not any(names):
        raise ValueError("it is empty, or its first line is: that line must name the columns.")
    if len(names) == 1 and (mark := next((mark for mark in ";\t|" if mark in names[0]), None)):
        raise ValueError(f"its columns are separated by {mark!r}: {_HINT}.")
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"two of its columns have the name {repeated[0]!r}: rename or remove one of them.")
    return names


def read_csv(path: Path, as_text: Callable[[str], bool]) -> Iterator[tuple[str, dict[str, Any] | UnreadableItem]]:
    """Place (file and line) and fields of each row.

    A column in which all values are numbers, or all `true` or `false`, holds numbers or truth values; the others hold
    text. Empty fields, `nan` and `null` are `None`.

    Args:
        path (`Path`): The file, UTF-8 with or without a byte order mark.
        as_text (`Callable[[str], bool]`): Whether a column holds text, whatever it looks like.
    """
    names = [name for name in csv_columns(path) if not as_text(name)]
    numbers, truths = set(names), set(names)
    for _, row in _rows(path):
        if isinstance(row, dict):
            numbers = {name for name in numbers if _fits(row[name], _MISSING_NUMBER, _NUMBER.fullmatch)}
            truths = {name for name in truths if _fits(row[name], _MISSING, ("true", "false").__contains__)}
    for where, row in _rows(path):
        if isinstance(row, dict):
            row = {name: _value(value, name in numbers, name in truths) for name, value in row.items()}
        yield where, row


def _fits(value: str, missing: Collection[str], accepts: Callable[[str], object]) -> bool:
    value = value.strip().lower()
    return value in missing or bool(accepts(value))


def _value(value: str, is_number: bool, is_truth: bool) -> Any:
    word = value.strip().lower()
    if word in (_MISSING_NUMBER if is_number else _MISSING):
        return None
    return json.loads(word) if is_number or is_truth else value


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str] | UnreadableItem]]:
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    with _open(path) as file:
        rows = csv.reader(file)
        names = [name.strip() for name in next(rows, [])]
        while True:
            where = f"{str(path)!r}, line {rows.line_num + 1}"
            try:
                fields = next(rows, None)
                if fields is None:
                    return
                if not fields:  # an empty line
                    continue
                if len(fields) != len(names):
                    raise ValueError(f"it has {len(fields)} fields, but the file has {len(names)} columns")
                "".join(fields).encode()
            except UnicodeEncodeError:
                yield where, UnreadableItem(f"{where}: it is not UTF-8.")
            except (csv.Error, ValueError) as error:
                yield where, UnreadableItem(f"{where}: {error}.")
            else:
                yield where, dict(zip(names, fields, strict=True))


def _names(path: Path) -> list[str]:
    with _open(path) as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def _open(path: Path):
    # What is not UTF-8 becomes lone surrogates, by which its line is found: one bad line does not end the file.
    return path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="")
