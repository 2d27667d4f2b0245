"""Memory items of a row: `memories`, which goes with every form."""

from collections.abc import Mapping
from typing import Any

from comem_hf.modeling.memory_item import MemoryItem

from .keys import has_value, nearest
from .row import Row, short


_SAME = {
    "image": "image",
    "images": "image",
    "image_path": "image",
    "image_paths": "image",
    "text": "text",
    "caption": "text",
}
_CARRIED = ("id", "metadata")
# Words that others have for the same thing: refused where that is missing, else something of the user's own.
_WORDS = {
    "content": "text",
    "description": "text",
    "passage": "text",
    "summary": "text",
    "knowledge": "text",
    "img": "image",
    "picture": "image",
    "image_url": "image",
}


def read_items(row: Row) -> list[MemoryItem]:
    """Read the items of a row.

    Raises:
        ValueError: If they are no list, or one is no item; the message names the place.
    """
    values = row.objects("memories") or []
    if not isinstance(values, list | tuple):
        raise row.error("memories", f"must be a list, got {short(values)}")
    return [read_item(row, value, f"memories[{i}]") for i, value in enumerate(values)]


def read_item(row: Row, value: Any, where: str) -> MemoryItem:
    """Read one item: a [`MemoryItem`], or an object with `text` and `image`, one picture, or `images`, several.

    Any of these keys may hold a picture or a list of them. Other keys are noted in `row.unread`.
    """
    if isinstance(value, MemoryItem):
        return value
    if not isinstance(value, Mapping):
        raise row.error(where, f'must be an object with "image" and "text", got {short(value)}')
    images, text = [], None
    given: dict[str, str] = {}
    others: list[str] = []
    for key, each in value.items():
        name = _SAME.get(key)
        if not has_value(each):
            continue
        if name is None:
            others.append(str(key))
            continue
        if name in given:
            raise row.error(where, f"has `{given[name]}` and `{key}`, which mean the same; leave one out")
        given[name] = key
        if name == "text":
            text = each
        else:
            images = row.pictures(each, f"{where}.{key}")
    for key in others:
        _note(row, key, given, where)
    try:
        return MemoryItem(images=images, text=text)
    except ValueError as error:
        raise row.error(where, f"is no memory item ({str(error).rstrip('.')})") from error


def _note(row: Row, key: str, given: Mapping[str, str], where: str) -> None:
    """Note that a key of an item is not read, or refuse it if it seems to be one that is."""
    if key in _CARRIED:
        return
    listed = f"memories[].{key}"
    if listed not in row.ignored:
        name = _WORDS.get(key.lower())
        if name in given:
            name = None
        elif name is None and not key.endswith(("_id", "_ids")):
            name = nearest(key, tuple(_SAME))
        if name is not None:
            raise row.error(f"{where}.{key}", f"is no key of a memory item; did you mean `{name}`?")
    row.unread[listed] = None
