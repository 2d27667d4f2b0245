"""Items that are made one after the other, anew for each iteration."""

from collections.abc import Callable, Iterator

from comem_hf.modeling.memory_item import MemoryItem

from .plain_values import id_as_text, is_missing, plain
from .stored_metadata import with_stored_fields
from .unreadable import UnreadableItem


class LazyItems:
    """An iterable of items that knows their number where that is cheap to find out.

    Args:
        read (`Callable[[], Iterator[MemoryItem | UnreadableItem]]`): Starts from the first item at each call.
        count (`Callable[[], int | None]`): About how many items there are; `None` if that is unknown.
    """

    def __init__(
        self, read: Callable[[], Iterator[MemoryItem | UnreadableItem]], count: Callable[[], int | None] = lambda: None
    ):
        self._read = read
        self._count = count

    def __iter__(self) -> Iterator[MemoryItem | UnreadableItem]:
        return self._read()

    def __length_hint__(self) -> int:
        """About how many items there are, for progress bars; 0 if that is unknown."""
        return self._count() or 0


def make_item(where: str, **fields) -> MemoryItem | UnreadableItem:
    """An item with these fields, or an [`UnreadableItem`] with the reason why not.

    Missing values (NaN, pandas' `NA`) become `None`, numbers as ids text, and the metadata [`plain`], with the fields
    of a field `metadata` in place of that ([`with_stored_fields`]).

    Args:
        where (`str`): Place of the entry in the source, for the message.
        fields: Fields of [`MemoryItem`].
    """
    fields = {name: None if is_missing(value) else value for name, value in fields.items()}
    try:
        if "id" in fields:
            fields["id"] = id_as_text(fields["id"])
        if "metadata" in fields:
            fields["metadata"] = plain(with_stored_fields(fields["metadata"]))
        return MemoryItem(**fields)
    except (ValueError, RecursionError) as error:
        item_id = fields.get("id")
        return UnreadableItem(f"{where}: {error}", item_id if isinstance(item_id, str) else None)
