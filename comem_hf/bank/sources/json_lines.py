"""Items of a JSONL file."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from comem_hf.bank.sources.rows.json_objects import read_objects
from comem_hf.bank.sources.rows.lazy import LazyItems, make_item
from comem_hf.bank.sources.rows.plain_values import is_missing
from comem_hf.bank.sources.rows.text_of_row import take_text
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import is_picture, picture_of_row


def read_jsonl(path: str | Path) -> LazyItems:
    """Items of a JSONL file, which has one object per line.

    Its fields are `image` (a path, relative to the file, a data URL or a base64 string), `text` (or another name, see
    [`take_text`]) and `id`; any other field becomes metadata. A line without `image` may name the file in `file_name`,
    as in the Hub's image folders. Paths may be absolute and lead anywhere: check the paths in a file that others wrote
    before you use it.

    Raises:
        ValueError: If the file cannot be read.
    """
    path = Path(path)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"Cannot read items from {str(path)!r}: {error.strerror or error}.") from error
    return LazyItems(partial(_items, path), partial(_count_lines, path))


def _items(path: Path) -> Iterator[MemoryItem | UnreadableItem]:
    for where, row in read_objects(path):
        if isinstance(row, UnreadableItem):
            yield row
            continue
        image, item_id, text = row.pop("image", None), row.pop("id", None), take_text(row)
        if is_missing(image):
            name = row.get("file_name")
            image = name if isinstance(name, str) else None
        image = picture_of_row(image, path.parent)
        if image is not None and not is_picture(image):
            yield UnreadableItem(f"{where}: `image` must be a path or a picture in base64, got {image!r:.80}.")
            continue
        yield make_item(where, image=image, text=text, id=item_id, metadata=row)


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
