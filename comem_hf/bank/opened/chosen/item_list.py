"""Items of a bank as a list that reads them when they are asked for."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from comem_hf.bank.format.items import ROWS_PER_GROUP, StoredItems
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.modeling.memory_item import MemoryItem


class ItemList(Sequence[MemoryItem]):
    """Items in the order of their rows; a few at a time are in memory.

    Args:
        items (`StoredItems`): Items of the bank.
        rows (`np.ndarray`): Their rows, int64.
    """

    def __init__(self, items: StoredItems, rows: np.ndarray):
        self._items = items
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> MemoryItem: ...

    @overload
    def __getitem__(self, place: slice) -> "ItemList": ...

    def __getitem__(self, place):
        if isinstance(place, slice):
            return ItemList(self._items, self._rows[place])
        return self._read([int(self._rows[place])])[0]

    def __iter__(self) -> Iterator[MemoryItem]:
        for start in range(0, len(self), ROWS_PER_GROUP):
            yield from self._read(self._rows[start : start + ROWS_PER_GROUP].tolist())

    def __repr__(self) -> str:
        return f"ItemList({len(self)} items)"

    def _read(self, rows: list[int]) -> list[MemoryItem]:
        with decoder_warnings_logged(once=True):
            return self._items.read(rows)


def part_of(rows: np.ndarray, offset: int, limit: int | None) -> np.ndarray:
    """Rows from the one at `offset` on, at most `limit` of them.

    Raises:
        ValueError: If one of the two is no number of items.
    """
    for name, value in (("offset", offset), ("limit", limit)):
        is_default = name == "limit" and value is None
        if not is_default and (not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0):
            raise ValueError(f"`{name}` must be a number of items, 0 or more, got {value!r}.")
    return rows[offset:] if limit is None else rows[offset : offset + limit]
