"""The content of turns: text and pictures in their places."""

import re
from collections.abc import Mapping
from typing import Any

from .items import read_item
from .row import Row, counted, short


IMAGE_MARKER = re.compile(r"\n?<image>\n?")
_PICTURE_KEYS = ("image", "url", "path", "base64", "image_url")


def text_part(text: str) -> dict[str, Any]:
    """A text as a part of a message."""
    return {"type": "text", "text": text}


def split_at_images(text: str) -> list[dict[str, Any]]:
    """Replace each `<image>`, with a line break on either side, by a part for a picture."""
    if "<image>" not in text:
        return [text_part(text)]
    first, *rest = IMAGE_MARKER.split(text)
    content = [text_part(first)]
    for part in rest:
        content += [{"type": "image"}, text_part(part)]
    return [part for part in content if part["type"] == "image" or part["text"]]


def refuse_mark(row: Row, text: str, where: str) -> None:
    """Refuse `<image>` where no picture can stand: it would be a text like any other."""
    if "<image>" in text:
        raise row.error(where, "has an <image>, but pictures stand in the turns of the user only")


def read_content(row: Row, content: Any, where: str, role: str, memories: list[Any]) -> list[dict[str, Any]]:
    """Read the content of a turn: a text, or a list of parts as OpenAI's and TRL's data have it.

    Args:
        row ([`Row`]): The row.
        content (`str` or `list`): The content.
        where (`str`): Its place, for error messages.
        role (`str`): Whose turn it is; only users show pictures and memory items.
        memories (`list`): Memory items among the parts are added to it.

    Returns:
        `list[dict]`: Parts of the types `"text"` and `"image"`; a picture that stands in the part itself is under
        `"image"`, the others are the row's own, in their order.
    """
    is_user = role == "user"
    if not isinstance(content, list | tuple):
        text = row.text(content, where)
        return split_at_images(text) if is_user else [text_part(text)]
    parts: list[dict[str, Any]] = []
    for i, part in enumerate(content):
        place = f"{where}[{i}]"
        kind = part.get("type") if isinstance(part, Mapping) else None
        if isinstance(part, str):
            kind, part = "text", {"text": part}
        if kind == "text" and isinstance(part.get("text"), str):
            parts += split_at_images(part["text"]) if is_user else [text_part(part["text"])]
        elif kind in ("image", "image_url") and is_user:
            parts.append(_picture_part(row, part, place))
        elif kind == "memory" and is_user:
            memories.append(read_item(row, {key: each for key, each in part.items() if key != "type"}, place))
        else:
            types = "'text', 'image', 'image_url' or 'memory'" if is_user else "'text'"
            raise row.error(place, f"must be a part of the type {types} of a turn of the {role}, got {short(part)}")
    if not any(part["type"] == "image" or part["text"].strip() for part in parts):
        raise row.error(where, f"must be a text that is not empty, got {short(content)}")
    if not is_user:
        return [text_part("".join(part["text"] for part in parts))]
    return parts


def place_pictures(
    row: Row, key: str, messages: list[dict[str, Any]], pictures: list[Any]
) -> tuple[list[dict[str, Any]], list[Any]]:
    """Give the row's pictures their places: those that the turns mark, or else before the first question.

    Args:
        row ([`Row`]): The row.
        key (`str`): The field that holds the turns.
        messages (`list[dict]`): The turns, as [`read_content`] reads them.
        pictures (`list`): The row's own pictures.

    Returns:
        `tuple[list[dict], list]`: The turns, and all pictures in the order in which they stand.

    Raises:
        ValueError: If the turns mark more or fewer places than there are pictures.
    """
    shown = [part for message in messages for part in message["content"] if part["type"] == "image"]
    marked = sum("image" not in part for part in shown)
    if not shown and pictures:
        first = next(message for message in messages if message["role"] == "user")
        first["content"] = [{"type": "image"}] * len(pictures) + first["content"]
        return messages, pictures
    if marked != len(pictures):
        raise row.error("image", f"holds {counted(len(pictures), 'image')}, but `{key}` shows {marked} <image>")
    own = iter(pictures)
    images = [part.pop("image") if "image" in part else next(own) for part in shown]
    return messages, images


def _picture_part(row: Row, part: Mapping[str, Any], where: str) -> dict[str, Any]:
    given = [(key, part[key]) for key in _PICTURE_KEYS if part.get(key) is not None]
    if not given:
        return {"type": "image"}
    key, value = given[0]
    if isinstance(value, Mapping) and isinstance(value.get("url"), str):  # as OpenAI's have it
        key, value = f"{key}.url", value["url"]
    return {"type": "image", "image": row.picture(value, f"{where}.{key}")}
