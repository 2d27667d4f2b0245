"""Which row of a bank a hit or an id stands for."""

from functools import cached_property
from pathlib import Path

from .hit import MemoryHit
from .items import StoredItems


class ItemRows:
    """Rows of a bank by hit or by id.

    Args:
        folder (`Path`): The bank, for error messages.
        items (`StoredItems`): Its items; their ids are read when an id is first asked for.
        state (`str`): Digest of the bank state; hits of another are refused.
    """

    def __init__(self, folder: Path, items: StoredItems, state: str):
        self.folder = folder
        self.items = items
        self.state = state

    @cached_property
    def by_id(self) -> dict[str, int]:
        """Row of every id, in the order of rows."""
        return {item_id: row for row, item_id in enumerate(self.items.read_ids())}

    def row(self, hit: MemoryHit | str) -> int:
        """The row of a hit or an id.

        Raises:
            ValueError: If the hit comes from another bank, or the id is unknown.
        """
        if isinstance(hit, MemoryHit) and (hit.row is None or hit.bank is None):  # made by hand
            if hit.item.id is None:
                raise ValueError("A hit without `row` and `bank` stands for the item of its id, but the id is None.")
            hit = hit.item.id
        if isinstance(hit, MemoryHit):
            if hit.bank != self.state:
                raise ValueError(f"The hit on item {hit.item.id!r} comes from another bank than {str(self.folder)!r}.")
            return hit.row
        if hit not in self.by_id:
            raise ValueError(f"The bank {str(self.folder)!r} has no item {hit!r}.")
        return self.by_id[hit]
