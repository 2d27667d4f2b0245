"""Items of the TSV files of WIT, Google's Wikipedia-based image-text data set."""

import csv
import gzip
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.bank.sources.rows.lazy import LazyItems, make_item
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.files.tables.opened import DAMAGED
from comem_hf.files.tables.table import no_column
from comem_hf.modeling.memory_item import MemoryItem


WIT_TEXT_COLUMNS = ("page_title", "context_section_description", "context_page_description")
_METADATA = ("language", "page_title", "page_url", "image_url")
_MISSING = {"", "nan", "null", "none"}  # what other programs write for a missing value
_FIELD_LIMIT = 10 * 2**20  # characters; some descriptions are longer than Python's own limit


def read_wit(path: str | Path, images: str | Path | None = None, columns: Columns | None = None) -> LazyItems:
    """Items of a WIT file, `.tsv` or `.tsv.gz`: the text is `"{page_title}: {description}"`.

    The description is that of the section, or of the page where the section has none. Nothing is downloaded: images
    come from `images`, or from a column `image_path` (relative to the file), or the item has a text only.

    Args:
        path (`str` or `Path`): The file.
        images (`str` or `Path`, *optional*): Folder of the images, named as in `image_url`, percent-encoded or not.
        columns ([`Columns`], *optional*): Columns in place of `image_path`, of this text, and of the id, which is made
            from the content if none is given.

    Raises:
        ValueError: If the file or the folder cannot be read, or columns are missing.
    """
    path, images = Path(path), None if images is None else Path(images)
    if images is not None and not images.is_dir():
        raise ValueError(f"`images` must be a folder, got {str(images)!r}.")
    columns, there = columns or Columns(), _names(path)
    missing = [name for name in WIT_TEXT_COLUMNS if name not in there]
    if missing:
        raise ValueError(f"{str(path)!r} is no WIT file: it has no column {', '.join(map(repr, missing))}.")
    for given in filter(None, (columns.image, columns.text, columns.id)):
        if given not in there:
            raise no_column(repr(str(path)), given, there)
    return LazyItems(partial(_items, path, images, columns))


def is_wit(path: Path) -> bool:
    """Whether a TSV file has the columns of WIT.

    Raises:
        ValueError: If it cannot be read.
    """
    return set(WIT_TEXT_COLUMNS) <= set(_names(path))


def wit_text(row: Mapping[str, object]) -> str | None:
    """Text of a row of WIT: title and description, of which either may be missing."""
    title, section, page = (_value(row.get(name)) for name in WIT_TEXT_COLUMNS)
    return ": ".join(part for part in (title, section or page) if part) or None


def _names(path: Path) -> list[str]:
    try:
        with _open(path) as file:
            return next(csv.reader(file, delimiter="\t"), [])
    except (UnicodeDecodeError, csv.Error, *DAMAGED) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"Cannot read {str(path)!r}: {reason}.") from error


def _items(path: Path, images: Path | None, columns: Columns) -> Iterator[MemoryItem | UnreadableItem]:
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
            except DAMAGED as error:  # nothing after it can be read
                raise ValueError(f"{where}: the file is damaged: {error}.") from error
            if row is None:
                return
            metadata = {name: value for name in _METADATA if (value := _value(row.get(name)))}
            try:
                image = _image(row, path.parent, images, columns.image or "image_path")
            except ValueError as error:
                yield UnreadableItem(f"{where}: {error}")
                continue
            text = wit_text(row) if columns.text is None else _value(row.get(columns.text))
            item_id = None if columns.id is None else _value(row.get(columns.id))
            yield make_item(where, image=image, text=text, id=item_id, metadata=metadata)


def _image(row: Mapping[str, str], folder: Path, images: Path | None, column: str) -> Path | None:
    if name := _value(row.get(column)):
        path = folder / name
        # Others wrote these paths: they must not fetch files from elsewhere into a bank.
        if not os.path.abspath(path).startswith(os.path.abspath(folder) + os.sep):
            raise ValueError(f"`{column}` must be a path inside the folder, got {name!r:.80}.")
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
