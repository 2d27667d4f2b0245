"""Items of a JSONL file."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import is_picture, picture_of_row

from .lazy import LazyItems, make_item
from .unreadable import UnreadableItem


def read_jsonl(path: str | Path) -> LazyItems:
    """Items of a JSONL file, which has one object per line.

    Its fields are `image` (a path, relative to the file, a data URL or a base64 string), `text` and `id`; any other
    field becomes metadata. Paths may be absolute and lead anywhere: check the paths in a file that others wrote before
    you use it.

    Raises:
        ValueError: If the file cannot be read.
    """
    path = Path(path)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"Cannot read items from {str(path)!r}: {error.strerror or error}.") from error
    return LazyItems(partial(_items, path), partial(_count_lines, path))


def read_objects(path: Path) -> Iterator[tuple[str, dict | UnreadableItem]]:
    """Place (file and line) and object of each line that is not empty."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{str(path)!r}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if not text:
                    continue
                row = json.loads(text)
                if not isinstance(row, dict):
                    raise ValueError(f"expected a JSON object, got {text[:80]!r}.")
            except (ValueError, RecursionError) as error:
                row = UnreadableItem(f"{where}: {error}")
            yield where, row


def _items(path: Path) -> Iterator[MemoryItem | UnreadableItem]:
    for where, row in read_objects(path):
        if isinstance(row, UnreadableItem):
            yield row
            continue
        image, text, item_id = (row.pop(name, None) for name in ("image", "text", "id"))
        image = picture_of_row(image, path.parent)
        if image is not None and not is_picture(image):
            yield UnreadableItem(f"{where}: `image` must be a path or a picture in base64, got {image!r:.80}.")
            continue
        yield make_item(where, image=image, text=text, id=item_id, metadata=row)


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
