"""A short description of the items of a bank."""

import json
from collections import Counter
from pathlib import Path

from comem_hf.bank.format.changes.metadata import open_items
from comem_hf.bank.format.changes.removed import read_removed
from comem_hf.bank.format.config import BankConfig


_KEYS = ("source", "language")
_SHOWN = 10


def describe_items(folder: Path, config: BankConfig) -> dict[str, str]:
    """The most common values of `source` and `language` in the items' metadata, with their numbers.

    Args:
        folder (`Path`): The bank, with all its items.
        config (`BankConfig`): Its configuration.

    Returns:
        `dict[str, str]`: Name and value of each row of a table; fields that no item has are left out.
    """
    removed = set(read_removed(folder, config).tolist())
    found = {key: Counter() for key in _KEYS}
    columns = open_items(folder, config).read_column("metadata")
    for row, text in enumerate(text for column in columns for text in column.to_pylist()):
        metadata = {} if row in removed else json.loads(text)
        for key in _KEYS:
            if isinstance(metadata.get(key), str):
                found[key][metadata[key]] += 1
    return {key: _most_common(counts) for key, counts in found.items() if counts}


def _most_common(counts: Counter) -> str:
    more = ", ..." if len(counts) > _SHOWN else ""
    return ", ".join(f"{_cell(value)} ({number:,})" for value, number in counts.most_common(_SHOWN)) + more


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
