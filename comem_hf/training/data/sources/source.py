"""Rows, and what they need to be read by."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """Rows, and what they need to be read by.

    Args:
        rows (`Iterable`): The rows; a sequence, or what can be gone through again and again.
        name (`str`): Name of their place in error messages.
        base_dir (`Path`, *optional*): The folder that relative image paths start from.
        fingerprint (`str`, *optional*): What identifies the rows.
        takes_paths (`bool`, *optional*, defaults to `True`): Whether pictures may be files of this machine. Those of
            others may not: a row that somebody wrote must not choose which files are read.
    """

    rows: Iterable[Any]
    name: str
    base_dir: Path | None = None
    fingerprint: str | None = None
    takes_paths: bool = True
