"""Which row of a bank a hit or an id stands for."""

from functools import cached_property
from pathlib import Path

import numpy as np

from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.items import StoredItems

from .hit import MemoryHit


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
            ValueError: If the hit comes from another bank, its item has been removed, or the id is unknown.
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
        if hit not in self.by_id:
            raise ValueError(f"The bank {str(self.folder)!r} has no item {hit!r}.")
        return self.by_id[hit]

    def _is_live(self, row: int) -> bool:
        return self.live is None or bool(self.live[row])
