"""The placeholder for an item that could not be made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnreadableItem:
    """An item that could not be made; a build reports it or raises an error.

    A source gives it instead of the item, so that one bad entry does not end the source.

    Args:
        reason (`str`): What is wrong, beginning with the file or the row.
        id (`str`, *optional*): Id of the item, where it is known.
        is_error (`bool`, defaults to `True`): Whether a build with `on_error="raise"` stops at it. A file that lies
            among pictures and is none is reported, but is no error.
    """

    reason: str
    id: str | None = None
    is_error: bool = True
