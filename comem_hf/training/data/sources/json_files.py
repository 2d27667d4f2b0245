"""Rows of JSON and JSONL files."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .source import Source


BOM = b"\xef\xbb\xbf"


def open_json(path: Path, streaming: bool = False) -> Source:
    """Open a `.jsonl` file (a row per line) or a `.json` file (a list of rows).

    Args:
        path (`Path`): The file, in UTF-8.
        streaming (`bool`, *optional*, defaults to `False`): Do not read it in advance.

    Returns:
        [`Source`]: Its rows; the fingerprint is the SHA-256 of the file, unless it is streamed.

    Raises:
        ValueError: If it cannot be read, or is a list and no JSON.
    """
    try:
        with path.open("rb") as file:
            is_list = file.read(4096).removeprefix(BOM).lstrip().startswith(b"[")
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error
    if is_list:
        content = path.read_bytes()
        rows = _loads(content, path.name)
        return Source(rows, path.name, path.parent, hashlib.sha256(content).hexdigest())
    if streaming:
        return Source(LinesAsTheyCome(path), path.name, path.parent)
    lines = JsonLines(path)
    return Source(lines, path.name, path.parent, lines.sha256)


class LinesAsTheyCome:
    """The rows of a JSONL file, one after the other.

    Args:
        path (`Path`): The file.
    """

    def __init__(self, path: Path):
        self.path = path

    def __iter__(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(BOM)
                if line.strip():
                    yield _loads(line, f"{self.path.name}, line {number}")


class JsonLines(LinesAsTheyCome, Sequence):
    """The rows of a JSONL file by their number: of each the place in the file is kept, and no more.

    Args:
        path (`Path`): The file; it must not change while it is used.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        digest, starts, start = hashlib.sha256(), [], 0
        with path.open("rb") as file:
            self.state = _state(file)
            for line in file:
                digest.update(line)
                if line.strip() and line != BOM:
                    starts.append(start)
                start += len(line)
        self.starts = np.array(starts, dtype=np.int64)
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Any:
        with self.path.open("rb") as file:
            if _state(file) != self.state:
                raise ValueError(f"{str(self.path)!r} has changed since it was opened; open it again.")
            file.seek(self.starts[index])
            return _loads(file.readline().removeprefix(BOM), f"{self.path.name}, row {index + 1}")


def _state(file) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _loads(content: bytes, where: str) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        file = where.partition(",")[0]
        raise ValueError(
            f"{file} is not UTF-8 text; training data is JSON (a list) or JSONL (a row per line)."
        ) from error
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if b"\n" in content.strip() else ""
        raise ValueError(f"{where} is not valid JSON: {error.msg} ({line}column {error.colno}).") from error
    except RecursionError as error:
        raise ValueError(f"{where} is not valid JSON: {error}.") from error
