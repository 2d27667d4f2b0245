"""Memory items as plain content of a prompt, the way of retrieval-augmented generation (RAG)."""

from collections.abc import Sequence
from typing import Any

from comem_hf.modeling.memory_item import MemoryItem


def item_content(text: str | None, has_picture: bool, *, picture_first: bool) -> list[dict[str, Any]]:
    """The parts of a message that shows an item.

    Args:
        text (`str`, *optional*): Text of the item; none, or an empty one, is no part.
        has_picture (`bool`): Whether it has a picture.
        picture_first (`bool`): The picture before the text, as the embedded model was trained; else after it, as the
            published RAG baseline has it.
    """
    picture = [{"type": "image"}] if has_picture else []
    words = [{"type": "text", "text": text}] if text else []
    return picture + words if picture_first else words + picture


def item_turns(items: Sequence[MemoryItem], *, picture_first: bool) -> tuple[list[dict[str, Any]], list[Any]]:
    """A user's turn for each item, to stand in front of the question's, without assistant turns between.

    Args:
        items (`Sequence[MemoryItem]`): The items, best first.
        picture_first (`bool`): See [`item_content`].

    Returns:
        The messages, and the pictures that they show, as the items hold them.
    """
    turns = [
        {"role": "user", "content": item_content(item.text, item.image is not None, picture_first=picture_first)}
        for item in items
    ]
    return turns, [item.image for item in items if item.image is not None]
