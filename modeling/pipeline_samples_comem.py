"""The pipeline's inputs as samples of one form: pictures, a question or conversation, and memory items."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers.pipelines.image_text_to_text import Chat

from .memory_item import MemoryItem
from .picture_comem import FORMS, is_picture, load_image


SAMPLE_KEYS = ("images", "text", "memories")


def as_samples(images, text, memories) -> dict | list[dict]:
    """Return one sample for one text, or a list of samples for a list of texts."""
    if text is None:
        raise ValueError("`text` is needed: a question, a conversation, or a list of these.")
    if isinstance(text, str) or is_chat(text):
        images = [] if images is None else images if isinstance(images, (list, tuple)) else [images]
        return as_sample({"images": images, "text": text, "memories": memories})
    if not isinstance(text, (list, tuple)):
        raise ValueError(f"`text` must be a question, a conversation, or a list of these, got {type(text).__name__}.")
    if not text:
        raise ValueError("`text` is empty: give a question or a conversation.")
    columns = {"images": images, "memories": memories}
    for name, column in columns.items():
        if column is None:
            columns[name] = [None] * len(text)
        elif not isinstance(column, (list, tuple)) or len(column) != len(text):
            number = f"{len(column)}" if isinstance(column, (list, tuple)) else f"a {type(column).__name__}"
            raise ValueError(f"`{name}` must have one entry for each of the {len(text)} texts, got {number}.")
    rows = zip(columns["images"], text, columns["memories"], strict=True)
    return [as_sample(dict(zip(SAMPLE_KEYS, row, strict=True))) for row in rows]


def as_sample(value: Any) -> dict[str, Any]:
    """Check a sample; return it with `images` a list, `text` a string or messages, `memories` items or `None`."""
    if isinstance(value, Chat):
        value = {"text": value.messages}
    if isinstance(value, str) or is_chat(value) or isinstance(value, (list, tuple)) and not value:
        value = {"text": value}
    if not isinstance(value, Mapping):
        raise ValueError(f"A sample must be a mapping of {SAMPLE_KEYS} or a conversation, got {type(value).__name__}.")
    unknown = [key for key in value if key not in SAMPLE_KEYS]
    if unknown:
        raise ValueError(f"A sample has unknown keys {unknown}; known are {list(SAMPLE_KEYS)}.")
    images, text, memories = (value.get(key) for key in SAMPLE_KEYS)
    if isinstance(text, Chat):
        text = text.messages
    if isinstance(text, (list, tuple)) and not text:
        raise ValueError("`text` is an empty conversation: it needs at least one message.")
    if not isinstance(text, str) and not is_chat(text):
        raise ValueError(f"`text` must be a question or a conversation, got {type(text).__name__}.")
    images = [] if images is None else list(images) if isinstance(images, (list, tuple)) else [images]
    for image in images:
        if not is_picture(image):
            raise ValueError(f"A picture in `images` must be a URL, {FORMS}, got {type(image).__name__}.")
    if images and not isinstance(text, str):
        raise ValueError("Pictures of a conversation belong inside its messages, not in `images`.")
    if memories is not None:
        if not isinstance(memories, (list, tuple)):
            raise ValueError(f"`memories` must be a list of memory items, got {type(memories).__name__}.")
        memories = [MemoryItem.of(item) for item in memories]
    return {"images": images, "text": text, "memories": memories}


def as_list(value: Any) -> Any:
    """Return tuples, columns of data sets and other sequences as lists, anything else unchanged."""
    return list(value) if isinstance(value, Sequence) and not is_picture(value) else value


def is_chat(value: Any) -> bool:
    """Whether a value is a conversation: a list of messages with a role."""
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], Mapping) and "role" in value[0]


def with_parts(message: Any) -> dict:
    """Check a message; return it with its `content` a list of parts."""
    if not isinstance(message, Mapping) or "role" not in message:
        raise ValueError(f"A message must be a mapping with 'role' and 'content', got {message!r:.80}.")
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else [] if content is None else content
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, Mapping) and "type" in part for part in parts):
        raise ValueError(
            "The content of a message must be a string or a list of parts, such as {'type': 'text', 'text': 'What?'}, "
            f"got {content!r:.80}."
        )
    return {**message, "content": list(parts)}


def with_open_pictures(message: Any, timeout: float | None) -> dict:
    """Return a message with all its pictures as PIL images, so that each is opened only once."""
    message = with_parts(message)
    for number, part in enumerate(message["content"]):
        if part["type"] == "image_url":  # OpenAI's form
            url = part.get("image_url")
            part = {"type": "image", "url": url.get("url") if isinstance(url, Mapping) else url}
        if part["type"] == "image":
            key = next((key for key in ("image", "url", "path", "base64") if part.get(key) is not None), None)
            picture = part.get(key)
            if not is_picture(picture):
                got = "nothing" if key is None else type(picture).__name__
                raise ValueError(f"A picture in a conversation must be a URL, {FORMS}, got {got}.")
            source = f"data:image/png;base64,{picture}" if key == "base64" else picture
            picture = load_image(source, urls=True, timeout=timeout)
            message["content"][number] = {"type": "image", "image": picture}
    return message


def parts_of(messages: list[dict]) -> list[dict]:
    """Return the parts of all messages, in order."""
    return [part for message in messages for part in message["content"]]


def last_question(messages: list[dict]) -> str:
    """Return the text of the last user message, or an empty string."""
    asked = [message for message in messages if message["role"] == "user"][-1:]
    return " ".join(part["text"] for part in parts_of(asked) if isinstance(part.get("text"), str))


__all__ = [
    "as_list",
    "as_sample",
    "as_samples",
    "is_chat",
    "last_question",
    "parts_of",
    "with_open_pictures",
    "with_parts",
]
