"""Items of the rows of a table."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from comem_hf.files.tables.table import Table
from comem_hf.modeling.memory_item import MemoryItem

from .columns import Columns
from .lazy import LazyItems, make_item
from .plain_values import id_as_text
from .unreadable import UnreadableItem


class Pictures(Protocol):
    """Finds the pictures that rows name."""

    def find(self, value: Any) -> Any:
        """Return a picture in a form that [`load_image`] takes.

        Raises:
            ValueError: If there is none; the message goes on after the name of the column.
        """
        ...


def items_of_table(table: Table, columns: Columns, pictures: Pictures) -> LazyItems:
    """Items of a table: a row is an item, and each column without a meaning of its own is metadata.

    Raises:
        ValueError: As for [`Columns.are_in`].
    """
    return LazyItems(partial(_items, table, columns.are_in(table), pictures), table.count)


def item_of_row(where: str, row: dict[str, Any], columns: Columns, pictures: Pictures) -> MemoryItem | UnreadableItem:
    """The item of a row, or the reason why there is none.

    Args:
        where (`str`): Place of the row, for messages.
        row (`dict`): Its fields.
        columns ([`Columns`]): Those with a meaning.
        pictures ([`Pictures`]): Finds the picture.
    """
    item_id = columns.take_id(row)
    name, image = columns.take_image(row)
    try:
        image = pictures.find(image)
    except ValueError as error:
        known = id_as_text(item_id)
        return UnreadableItem(f"{where}: `{name}` {error}", known if isinstance(known, str) else None)
    return make_item(where, image=image, text=columns.take_text(row), id=item_id, metadata=row)


def _items(table: Table, columns: Columns, pictures: Pictures) -> Iterator[MemoryItem | UnreadableItem]:
    for where, row in table.read(columns.hold_text(table)):
        if isinstance(row, ValueError):
            yield UnreadableItem(f"{where}: {row}")
        else:
            yield item_of_row(where, row, columns, pictures)
