"""Filters: which rows of a bank have given values in their metadata."""

import json
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.index.index import Selection


_REMEMBERED = 64  # filters; each takes a bit per item


# As text, 1 differs from true and from "1".
_as_text = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False).encode


class MetadataFilter:
    """Finds the rows that match a `where` of [`MemoryBank.search`], and remembers them.

    The first use of a filter reads the metadata of all items, which takes a second or more per million of them.

    Args:
        items (`StoredItems`): Items of the bank.
        live (`np.ndarray`, *optional*): Which rows have not been removed, bool of shape (rows,); all if not given.
    """

    def __init__(self, items: StoredItems, live: np.ndarray | None = None):
        self.items = items
        self.live = live
        self._select = lru_cache(_REMEMBERED)(self._read)

    def select(self, where: Mapping[str, object]) -> Selection:
        """The rows whose metadata has, for each field of `where`, the value or one of the listed values.

        Raises:
            ValueError: If `where` is no mapping from names to JSON values.
        """
        if not isinstance(where, Mapping) or not where or not all(isinstance(name, str) for name in where):
            raise ValueError(f"`where` must map names of metadata fields to values, got {where!r}.")
        return self._select(tuple(sorted((name, _alternatives(name, value)) for name, value in where.items())))

    def _read(self, conditions: tuple[tuple[str, tuple[str, ...]], ...]) -> Selection:
        parts = [_fitting(column, conditions) for column in self.items.read_column("metadata")]
        fitting = np.concatenate(parts)
        return Selection.of(fitting if self.live is None else fitting & self.live)


def _alternatives(name: str, value) -> tuple[str, ...]:
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    try:
        return tuple(sorted({_as_text(each) for each in values}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`where[{name!r}]` must be a JSON value or a list of them, got {value!r}.") from error


def _fitting(column, conditions) -> np.ndarray:
    """Which rows of a column of metadata fit all conditions, bool of shape (rows,)."""
    import pyarrow.compute as pc

    fitting = np.ones(len(column), dtype=bool)
    for name, values in conditions:
        # Parsing takes most of the time, so most items are ruled out by their text, as `ItemRecord` writes it.
        there = [pc.match_substring(column, f"{_as_text(name)}: {value}").to_numpy() for value in values]
        fitting &= np.logical_or.reduce(there) if there else False
    for row in np.flatnonzero(fitting):
        metadata = json.loads(column[row].as_py())
        fitting[row] = all(name in metadata and _as_text(metadata[name]) in values for name, values in conditions)
    return fitting
