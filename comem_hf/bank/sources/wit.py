"""Items of the TSV files of WIT, Google's Wikipedia-based image-text data set."""

import csv
import gzip
import os
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from comem_hf.bank.sources.rows.lazy import LazyItems, make_item
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.modeling.memory_item import MemoryItem


WIT_TEXT_COLUMNS = ("page_title", "context_section_description", "context_page_description")
_METADATA = ("language", "page_title", "page_url", "image_url")
_MISSING = {"", "nan", "null", "none"}  # what other programs write for a missing value
_FIELD_LIMIT = 10 * 2**20  # characters; some descriptions are longer than Python's own limit


def read_wit(path: str | Path, images: str | Path | None = None) -> LazyItems:
    """Items of a WIT file, `.tsv` or `.tsv.gz`: the text is `"{page_title}: {description}"`.

    The description is that of the section, or of the page where the section has none. Nothing is downloaded: images
    come from `images`, or from a column `image_path` (relative to the file), or the item has a text only.

    Args:
        path (`str` or `Path`): The file.
        images (`str` or `Path`, *optional*): Folder of the images, named as in `image_url`, percent-encoded or not.

    Raises:
        ValueError: If the file or the folder cannot be read, or columns are missing.
    """
    path, images = Path(path), None if images is None else Path(images)
    if images is not None and not images.is_dir():
        raise ValueError(f"`images` must be a folder, got {str(images)!r}.")
    try:
        with _open(path) as file:
            columns = next(csv.reader(file, delimiter="\t"), [])
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"Cannot read items from {str(path)!r}: {reason}.") from error
    missing = [name for name in WIT_TEXT_COLUMNS if name not in columns]
    if missing:
        raise ValueError(f"{str(path)!r} is no WIT file: it has no column {', '.join(map(repr, missing))}.")
    return LazyItems(partial(_items, path, images))


def wit_text(row: Mapping[str, object]) -> str | None:
    """Text of a row of WIT: title and description, of which either may be missing."""
    title, section, page = (_value(row.get(name)) for name in WIT_TEXT_COLUMNS)
    return ": ".join(part for part in (title, section or page) if part) or None


def _items(path: Path, images: Path | None) -> Iterator[MemoryItem | UnreadableItem]:
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    with _open(path) as file:
        rows = csv.DictReader(file, delimiter="\t")
        while True:
            where = f"{str(path)!r}, line {rows.line_num + 1}"
            try:
                row = next(rows, None)
            except csv.Error as error:
                yield UnreadableItem(f"{where}: {error}.")
                continue
            except (OSError, EOFError, zlib.error) as error:  # nothing after it can be read
                raise ValueError(f"{where}: the file is damaged: {error}.") from error
            if row is None:
                return
            metadata = {name: value for name in _METADATA if (value := _value(row.get(name)))}
            try:
                image = _image(row, path.parent, images)
            except ValueError as error:
                yield UnreadableItem(f"{where}: {error}")
                continue
            yield make_item(where, image=image, text=wit_text(row), metadata=metadata)


def _image(row: Mapping[str, str], folder: Path, images: Path | None) -> Path | None:
    if name := _value(row.get("image_path")):
        path = folder / name
        # Others wrote these paths: they must not fetch files from elsewhere into a bank.
        if not os.path.abspath(path).startswith(os.path.abspath(folder) + os.sep):
            raise ValueError(f"`image_path` must be a path inside the folder, got {name!r:.80}.")
        return path
    url = _value(row.get("image_url"))
    if images is None or url is None:
        return None
    name = urlsplit(url).path.rpartition("/")[2]
    names = [each for each in (name, unquote(name)) if Path(each).name == each]  # `%2F` leads to no other folder
    return next((images / each for each in names if os.path.isfile(images / each)), None)


def _value(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return None if text.lower() in _MISSING else text


def _open(path: Path):
    # A damaged byte loses one character, not the whole file.
    options = {"encoding": "utf-8", "errors": "replace", "newline": ""}
    return gzip.open(path, "rt", **options) if path.suffix == ".gz" else path.open("r", **options)
