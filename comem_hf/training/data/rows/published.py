"""The published CoMEM form: `conversations` with `knowledge_image` and `knowledge_conversations`."""

from comem_hf.modeling.memory_item import MemoryItem

from .row import Row, counted
from .turns import read_turns


def read_published_items(row: Row) -> list[MemoryItem]:
    """Read n pictures and 2n turns (human, gpt) as n items; the text of an item is its gpt turn.

    Raises:
        ValueError: If the numbers differ, or the row has `memories` as well.
    """
    if "memories" in row.fields:
        raise row.error("memories", "is given beside `knowledge_image` and `knowledge_conversations`; leave one out")
    images = row.pictures(row.fields.get("knowledge_image"), "knowledge_image")
    key = "knowledge_conversations"
    turns = read_turns(row, key, []) if images or row.fields.get(key) else []
    texts = [turn["content"][0]["text"] for turn in turns if turn["role"] == "assistant"]
    if len(images) != len(texts):
        raise row.error(
            "knowledge_image", f"holds {counted(len(images), 'image')} for {counted(len(texts), 'pair')} of turns"
        )
    return [MemoryItem(image=image, text=text) for image, text in zip(images, texts, strict=True)]
