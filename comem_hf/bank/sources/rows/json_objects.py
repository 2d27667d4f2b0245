"""The objects of a JSONL file, one per line."""

import json
from collections.abc import Iterator
from pathlib import Path

from .unreadable import UnreadableItem


def read_objects(path: Path) -> Iterator[tuple[str, dict | UnreadableItem]]:
    """Place (file and line) and object of each line that is not empty."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{str(path)!r}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if not text:
                    continue
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise ValueError(f"expected a JSON object, got {text[:80]!r}.")
            except json.JSONDecodeError as error:  # its own words count lines from 1 again
                row = UnreadableItem(f"{where}: {error.msg} at column {error.colno}: it is no valid JSON.")
            except (ValueError, RecursionError) as error:
                row = UnreadableItem(f"{where}: {error}")
            yield where, row
