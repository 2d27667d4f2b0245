"""Items of a folder of images with captions."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from transformers.utils import logging

from comem_hf.bank.format.record import FILE_NAME, spelled_out
from comem_hf.bank.sources.files.table_files import is_table
from comem_hf.bank.sources.places.suffixes import why_not_read
from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.bank.sources.rows.lazy import LazyItems, make_item
from comem_hf.bank.sources.rows.plain_values import is_missing
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.files.tables.table import Table
from comem_hf.modeling.memory_item import MemoryItem

from .files import METADATA_NAMES, FolderFiles
from .links import NamedFiles
from .metadata_files import open_metadata, read_metadata
from .sidecars import Sidecars


logger = logging.get_logger(__name__)

_OTHER_TABLE = f"of tables, a folder of pictures may hold {', '.join(METADATA_NAMES)}"


def read_image_folder(folder: str | Path, columns: Columns | None = None, *, encoding: str | None = None) -> LazyItems:
    """Items of a folder of images, subfolders included, in the order of their names.

    The layout is the Hub's, as `datasets` reads it. A `metadata.csv`, `metadata.jsonl` or `metadata.parquet`, in the
    folder or in any subfolder, lists pictures: `file_name` (relative to the metadata file), a text (see
    [`take_text`]) and `id`; the other fields become metadata. Pictures in no folder with such a file are items, too.
    Without a text in the metadata, the text of a picture is in the file of the same name that ends with `.txt`, or
    with `.json` as img2dataset writes it, whose `id` becomes the id and whose other fields become metadata.

    `file_name`, relative to the folder, becomes metadata, and so does `label`, the name of the subfolder, if no
    metadata file is there and all pictures lie equally deep in several subfolders. Pictures are files with the ending
    of a format that Pillow decodes by itself; hidden files, `__MACOSX` and banks are not looked at. Each other file is
    given as an [`UnreadableItem`] that is no error.

    Args:
        folder (`str` or `Path`): The folder.
        columns ([`Columns`], *optional*): Columns of its metadata files: that of the picture in place of `file_name`,
            those of text and id.
        encoding (`str`, *optional*): Of a `metadata.csv`; found out if not given.

    Raises:
        ValueError: If there is no such folder or no image in it, or a metadata file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"Cannot read items from {str(folder)!r}: there is no such folder.")
    if os.path.normpath(folder) != str(folder):  # `a/../b`: the files that lines name are found by their plain path
        folder = folder.resolve()
    files = FolderFiles.of(folder)
    columns = columns or Columns()
    tables = open_metadata(files.metadata, columns, encoding)
    others = [str(path) for path in files.others if is_table(path)]
    if not files.metadata and not files.pictures:
        names = f"{', '.join(METADATA_NAMES[:-1])} or {METADATA_NAMES[-1]}"
        way_out = f"; give the file {others[0]!r} in its place" if others else ""
        raise ValueError(f"Cannot read items from {str(folder)!r}: no {names} and no image is in it{way_out}.")
    if others and not files.metadata and not files.sidecars:
        logger.warning(
            f"{others[0]!r} lies among pictures and is not read: to make items of its rows, give that file in place "
            "of the folder."
        )
    return LazyItems(partial(_items, folder, tables, columns), partial(len, files.pictures))


def _items(folder: Path, tables: dict[Path, Table], columns: Columns) -> Iterator[MemoryItem | UnreadableItem]:
    files = FolderFiles.of(folder)
    sidecars, named = Sidecars(files), set()
    for path, table in tables.items():
        for item, picture in _listed(folder, path, table, columns, sidecars):
            named.add(picture)
            yield item
    listing = {path.parent for path in files.metadata}
    has_labels = not files.metadata and _has_class_folders(files.pictures)
    left_out = {}
    for path in files.pictures:
        if path in named:  # a metadata file of another folder may name it, too
            continue
        if listing.isdisjoint(path.parents):
            yield _beside_its_text(folder, path, sidecars, {"label": path.parent.name} if has_labels else {})
        else:
            left_out[path] = "no line of a metadata file names it"
            sidecars.pass_over(path, "no line of a metadata file names its picture")
    for path, reason in files.problems:
        yield UnreadableItem(f"{str(path)!r}: {reason}.")
    # At the end, so that the numbers of the items do not depend on what else lies in the folder.
    left_out |= {path: f"it is not read: {reason}" for path, reason in sidecars.unused().items()}
    for path in files.others:
        left_out[path] = f"it is not read: {_OTHER_TABLE if is_table(path) else why_not_read(path)}"
    for path, reason in left_out.items():
        yield UnreadableItem(f"{str(path)!r}: {reason}.", is_error=False)


def _listed(
    folder: Path, metadata: Path, table: Table, columns: Columns, sidecars: Sidecars
) -> Iterator[tuple[MemoryItem | UnreadableItem, Path | None]]:
    """The items that a metadata file lists, each with the path of its picture."""
    files, name_column = NamedFiles(folder), columns.image or FILE_NAME
    for where, row in read_metadata(table, columns):
        if isinstance(row, UnreadableItem):
            yield row, None
            continue
        name = row.get(name_column)
        path = files.find(metadata.parent, name)
        if path is None:
            got = f"{name!r:.80}" if name_column in row else f"only the fields {', '.join(map(str, row)):.80}"
            item = UnreadableItem(f"{where}: `{name_column}` must be a path inside the folder, got {got}.")
            yield item, Path(os.path.normpath(metadata.parent / name)) if isinstance(name, str) else None
            continue
        row.pop(name_column)
        text, item_id = columns.take_text(row), columns.take_id(row)
        if text is None:
            try:
                text, other_id, fields = sidecars.read(path)
            except ValueError as error:
                yield UnreadableItem(f"{where}: {error}"), path
                continue
            row = {**fields, **row}
            item_id = other_id if is_missing(item_id) else item_id
        else:
            sidecars.pass_over(path, "the metadata file has its text")
        row[FILE_NAME] = _name(folder, path)
        yield make_item(where, image=path, text=text, id=item_id, metadata=row), path


def _beside_its_text(
    folder: Path, path: Path, sidecars: Sidecars, label: dict[str, str]
) -> MemoryItem | UnreadableItem:
    try:
        text, item_id, fields = sidecars.read(path)
    except ValueError as error:
        return UnreadableItem(f"{str(path)!r}: {error}")
    metadata: dict[str, Any] = {**label, **fields, FILE_NAME: _name(folder, path)}
    return make_item(repr(str(path)), image=path, text=text, id=item_id, metadata=metadata)


def _has_class_folders(pictures: list[Path]) -> bool:
    """Whether the names of subfolders are labels, by the rule of `datasets`."""
    depths = {len(path.parents) for path in pictures}
    return len(depths) == 1 and len({path.parent.name for path in pictures}) > 1


def _name(folder: Path, path: Path) -> str:
    """The path inside the folder, as text."""
    return spelled_out(Path(os.path.relpath(path, folder)).as_posix())
