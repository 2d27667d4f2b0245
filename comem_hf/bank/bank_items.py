"""The items of an opened memory bank: one by its id, several, or all, as a mapping has them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from comem_hf.bank.exporting.export_items import export_items
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.opened.chosen.item_list import ItemList, part_of
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.modeling.memory_item import MemoryItem


class BankItems:
    """What [`MemoryBank`] is as a mapping of ids to items: `dict(bank)` is all items by their ids.

    Ids are strings; numbers stand for their text, here and everywhere: `bank[7]` is the item with the id `"7"`.
    """

    _state: BankState

    @property
    def config(self) -> BankConfig:
        """The bank's configuration."""
        return self._state.config

    @property
    def ids(self) -> list[str]:
        """Ids of all items, in the order of rows."""
        return list(self._state.rows.by_id)

    def keys(self) -> list[str]:
        """Return the ids of all items, as a mapping does."""
        return self.ids

    def get(self, ids: Sequence[str]) -> list[MemoryItem]:
        """Return items by their ids.

        Args:
            ids (`list[str]`): The ids, in any order; also hits.

        Returns:
            `list[MemoryItem]`: The items, in the same order.

        Raises:
            KeyError: If there is no item with one of the ids; it is a `ValueError`, too.
            ValueError: If `ids` is no list.
        """
        state = self._state
        with decoder_warnings_logged(once=True):
            return state.items.read(state.rows.rows_of(ids))

    def items(
        self, where: Mapping[str, object] | None = None, *, offset: int = 0, limit: int | None = None
    ) -> Sequence[MemoryItem]:
        """List items in the order of rows, all or those with some metadata.

        These are items, which have their ids, and not pairs as a dict has them. The list reads items when it is asked
        for them: `len(bank.items(where))` counts them, and a loop over it has a few of them in memory. It shows the
        bank as it is now, whatever changes later.

        Args:
            where (`dict`, *optional*): What the metadata of items must be, as for [`MemoryBank.search`].
            offset (`int`, defaults to 0): Items to pass over at the beginning.
            limit (`int`, *optional*): Most items to list; all by default.

        Returns:
            `Sequence[MemoryItem]`: The items.

        Raises:
            ValueError: If `where` is no filter or names a field that no item has, or `offset` or `limit` is no number
                of items.
        """
        state = self._state
        rows = state.rows.live_rows() if where is None else state.search.rows_that_fit(where)
        return ItemList(state.items, part_of(rows, offset, limit))

    def export(self, path: str | os.PathLike, where: Mapping[str, object] | None = None) -> int:
        """Write items as files that other programs read, and from which the same bank can be built again.

        Ids, texts, pictures and metadata are all there: `open_source(path)` gives equal items. Vectors are not.

        Args:
            path (`str` or `os.PathLike`): A file that ends with `.parquet`, with the pictures in it; or else a folder,
                new or empty, for `items.jsonl` and the pictures as files.
            where (`dict`, *optional*): What the metadata of items must be, as for [`MemoryBank.search`]; all items by
                default.

        Returns:
            `int`: Number of the items that were written.

        Raises:
            ValueError: If `path` is taken, or `where` is no filter or names a field that no item has.
            OSError: If it cannot be written; nothing is left there.
        """
        return export_items(self._state, Path(path), where)

    def stored_image(self, item_id: str) -> bytes | None:
        """Return the picture of an item as the bank stores it: the bytes of an image file.

        Args:
            item_id (`str`): Id of the item.

        Returns:
            `bytes` or `None`: The encoded picture; `None` if the item has none.

        Raises:
            KeyError: If there is no such item; it is a `ValueError`, too.
            ValueError: If the bank is damaged.
        """
        state = self._state
        return state.items.read_records([state.rows.row(item_id)])[0].image

    def file_names(self, ids: Sequence[str]) -> list[str | None]:
        """Return the names of the files that items came from.

        Args:
            ids (`list[str]`): Ids of items, or hits.

        Returns:
            `list[str | None]`: For each, `file_name` of its metadata, which a folder of pictures gives (with the
            subfolder), or else the name of its picture's file; `None` if neither is known.

        Raises:
            KeyError: If there is no item with one of the ids; it is a `ValueError`, too.
        """
        state = self._state
        return [record.file_name() for record in state.items.read_records(state.rows.rows_of(ids))]

    def __getitem__(self, item_id: str) -> MemoryItem:
        """The item with the given id; without one, a `KeyError` that is a `ValueError`, too."""
        return self.get([item_id])[0]

    def __contains__(self, item_id: object) -> bool:
        """Whether there is an item with the given id."""
        return item_id in self._state.rows

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids, as a mapping does."""
        return iter(self.ids)

    def __len__(self) -> int:
        return self.config.num_items
