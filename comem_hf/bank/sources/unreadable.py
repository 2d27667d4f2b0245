"""What stands in the place of an item that could not be made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnreadableItem:
    """Given by a source instead of an item, so that one bad entry does not end it; a build reports or raises it.

    Args:
        reason (`str`): What is wrong, and where.
        id (`str`, *optional*): Id of the item, where it is known.
    """

    reason: str
    id: str | None = None
