"""Which row of a bank a hit or an id stands for."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.sources.rows.plain_values import id_as_text

from .hit import MemoryHit


class UnknownItemError(KeyError, ValueError):
    """A bank has no item with an id: a wrong key of a mapping, and a wrong value of an argument."""

    def __str__(self) -> str:  # that of a `KeyError` would be in quotation marks
        return str(self.args[0])


class ItemRows:
    """Rows of a bank by hit or by id.

    Args:
        folder (`Path`): The bank, for error messages.
        config (`BankConfig`): Its configuration; hits on items that are not at the same place here are refused.
        items (`StoredItems`): Its items; their ids are read when an id is first asked for.
        live (`np.ndarray`, *optional*): Which rows have not been removed, bool of shape (rows,); all if not given.
    """

    def __init__(self, folder: Path, config: BankConfig, items: StoredItems, live: np.ndarray | None = None):
        self.folder = folder
        self.config = config
        self.items = items
        self.live = live

    @cached_property
    def by_id(self) -> dict[str, int]:
        """Row of every id, in the order of rows.

        Raises:
            ValueError: If two items have the same id.
        """
        rows = {}
        for row, item_id in enumerate(self.items.read_ids()):
            if self._is_live(row) and rows.setdefault(item_id, row) != row:
                raise ValueError(
                    f"The bank {str(self.folder)!r} is damaged: rows {rows[item_id]} and {row} both have the id "
                    f"{item_id!r}."
                )
        return rows

    def row(self, hit: MemoryHit | str) -> int:
        """The row of a hit or an id.

        Raises:
            UnknownItemError: If there is no item with the id.
            ValueError: If the hit comes from another bank, or its item has been removed.
        """
        if isinstance(hit, MemoryHit) and (hit.row is None or hit.bank is None):  # made by hand
            if hit.item.id is None:
                raise ValueError("A hit without `row` and `bank` must have the id of an item, but its id is None.")
            hit = hit.item.id
        if isinstance(hit, MemoryHit):
            if not 0 <= hit.row < self.config.shard_ends[-1] or hit.bank != self.config.row_digests([hit.row])[0]:
                raise ValueError(f"The hit on item {hit.item.id!r} comes from another bank than {str(self.folder)!r}.")
            if not self._is_live(hit.row):
                raise ValueError(f"The item {hit.item.id!r} has been removed from the bank {str(self.folder)!r}.")
            return hit.row
        item_id = id_as_text(hit)
        if item_id not in self.by_id:
            raise UnknownItemError(f"The bank {str(self.folder)!r} has no item {item_id!r}.")
        return self.by_id[item_id]

    def rows_of(self, ids: Iterable[MemoryHit | str], name: str = "ids", known_only: bool = False) -> list[int]:
        """The rows of a list of ids or hits, in its order.

        Args:
            ids (`list[str]`): The ids.
            name (`str`, defaults to `"ids"`): The user's name for them, for the message.
            known_only (`bool`, defaults to `False`): Pass over ids that are not there.

        Raises:
            ValueError: If they are no list, or as for [`row`].
        """
        if isinstance(ids, (str, MemoryHit)) or not isinstance(ids, Iterable):
            raise ValueError(f"`{name}` must be a list of ids, got {ids!r}.")
        ids = list(ids)  # if there are none, they are not read
        return [self.row(each) for each in ids if not known_only or isinstance(each, MemoryHit) or each in self]

    def __contains__(self, item_id: object) -> bool:
        return id_as_text(item_id) in self.by_id

    def live_rows(self) -> np.ndarray:
        """All rows that have not been removed, int64, in ascending order."""
        return np.arange(self.config.num_rows) if self.live is None else np.flatnonzero(self.live)

    def _is_live(self, row: int) -> bool:
        return self.live is None or bool(self.live[row])
