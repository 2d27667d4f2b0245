"""Files that may be compressed with gzip."""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO


BLOCK = 1 << 20
GZIP = (".gz", ".tgz")
DAMAGED = (OSError, EOFError, zlib.error)
"""What reading raises in the middle of a damaged file."""


def suffix_of(path: Path) -> str:
    """The ending of a file's name in lower case, with that before `.gz`: `".csv"`, `".jsonl.gz"`."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(suffixes) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, decompressed if its name ends with `.gz`."""
    return gzip.open(path, "rb") if path.suffix.lower() in GZIP else path.open("rb")


def check_whole(path: Path) -> None:
    """Refuse a file that cannot be read or has nothing in it, and a compressed one that was cut off.

    A compressed file is read to its end: its checksum stands there, and to find the damage in the middle of a long
    task would be late.

    Raises:
        ValueError: If it is so; the message names the file.
    """
    try:
        with open_bytes(path) as file:
            is_empty = not file.read(1)
            while path.suffix.lower() in GZIP and file.read(BLOCK):
                pass
    except DAMAGED as error:
        raise ValueError(f"Cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}.") from error
    if is_empty:
        raise ValueError(f"{str(path)!r} is empty.")


def count_lines(path: Path) -> int:
    """How many lines a file has; of a damaged one, those before the damage."""
    count = 0
    try:
        with open_bytes(path) as file:
            while block := file.read(BLOCK):
                count += block.count(b"\n")
    except DAMAGED:
        pass
    return count
