"""Memory items as plain content of a prompt, as in retrieval-augmented generation (RAG)."""

from collections.abc import Sequence
from typing import Any

from comem_hf.modeling.memory_item import MemoryItem


def item_content(text: str | None, num_pictures: int, *, picture_first: bool) -> list[dict[str, Any]]:
    """Return the message parts that show an item.

    Args:
        text (`str`, *optional*): Text of the item; `None` or an empty text adds no part.
        num_pictures (`int`): How many pictures the item has, which follow one another.
        picture_first (`bool`): Whether the pictures come before the text, as in the embedded model's training;
            otherwise the text comes first, as in the published RAG baseline.
    """
    pictures = [{"type": "image"}] * num_pictures
    words = [{"type": "text", "text": text}] if text else []
    return pictures + words if picture_first else words + pictures


def item_turns(items: Sequence[MemoryItem], *, picture_first: bool) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return a user turn for each item, for use before the question, without assistant turns between.

    Args:
        items (`Sequence[MemoryItem]`): The items, best first.
        picture_first (`bool`): See [`item_content`].

    Returns:
        `tuple[list[dict], list]`: The messages, and the pictures that they show, as the items hold them.
    """
    turns = [
        {"role": "user", "content": item_content(item.text, len(item.pictures), picture_first=picture_first)}
        for item in items
    ]
    return turns, [picture for item in items for picture in item.pictures]
