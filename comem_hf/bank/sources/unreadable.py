"""The placeholder for an item that could not be made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnreadableItem:
    """An item that could not be made; a build reports it or raises an error.

    A source gives it instead of the item, so that one bad entry does not end the source.

    Args:
        reason (`str`): What is wrong, and where.
        id (`str`, *optional*): Id of the item, where it is known.
    """

    reason: str
    id: str | None = None
