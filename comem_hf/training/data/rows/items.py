"""Memory items of a row: `memories`, which goes with every form."""

from collections.abc import Mapping
from typing import Any

from comem_hf.modeling.memory_item import MemoryItem

from .keys import has_value, nearest
from .row import Row, short


_SAME = {"image": "image", "text": "text", "image_path": "image", "images": "image", "caption": "text"}
_NAMES = ("image", "text", "id", "metadata")


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
    """Read one item: a [`MemoryItem`], or an object with `image` and `text`; other keys are not read."""
    if isinstance(value, MemoryItem):
        return value
    if not isinstance(value, Mapping):
        raise row.error(where, f'must be an object with "image" and "text", got {short(value)}')
    image = text = None
    given: dict[str, str] = {}
    for key, each in value.items():
        name = _SAME.get(key)
        if not has_value(each):
            continue
        if name is None:
            _refuse_nearly_right(row, key, where)
            continue
        if name in given:
            raise row.error(where, f"has `{given[name]}` and `{key}`, which mean the same; leave one out")
        given[name] = key
        if name == "text":
            text = each
        elif isinstance(each, list | tuple):
            if len(each) > 1:
                raise row.error(f"{where}.{key}", f"must be one picture, got {len(each)}")
            image = row.picture(each[0], f"{where}.{key}[0]")
        else:
            image = row.picture(each, f"{where}.{key}")
    try:
        return MemoryItem(image=image, text=text)
    except ValueError as error:
        raise row.error(where, f"is no memory item ({str(error).rstrip('.')})") from error


def _refuse_nearly_right(row: Row, key: Any, where: str) -> None:
    if not isinstance(key, str) or key in _NAMES or key.endswith(("_id", "_ids")):
        return
    name = nearest(key, tuple(_SAME))
    if name is not None:
        raise row.error(f"{where}.{key}", f"is no key of a memory item; did you mean `{name}`?"[:-1])
