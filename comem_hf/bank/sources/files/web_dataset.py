"""Items of the tar files of webdataset and img2dataset."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from comem_hf.bank.sources.places.suffixes import picture_suffixes
from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.bank.sources.rows.lazy import LazyItems, make_item
from comem_hf.bank.sources.rows.plain_values import is_missing
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.files.tables.opened import DAMAGED, check_whole
from comem_hf.modeling.memory_item import MemoryItem


TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_TEXTS = (".txt", ".caption", ".text")
_LABEL = ".cls"


def read_tar(paths: Sequence[str | Path], columns: Columns | None = None) -> LazyItems:
    """Items of tar files: members of one name that stand next to each other are a sample, and a sample is an item.

    `a.jpg` (or another format that Pillow decodes by itself) is the picture of the sample `a`; its text is `a.txt`, or
    is in `a.json`, whose other fields become metadata. The id is that in `a.json`, or the name `a`; `a.cls` becomes
    the `label` in the metadata. A sample without a picture is an error, and other members are listed as not
    read. Nothing is unpacked, and one sample at a time is in memory.

    Args:
        paths (`Sequence[str | Path]`): The files, `.tar`, or `.tar.gz` if they are compressed.
        columns ([`Columns`], *optional*): Fields of the `.json` with text and id.

    Raises:
        ValueError: If a file cannot be read, or is no tar file.
    """
    paths, columns = [Path(path) for path in paths], columns or Columns()
    for path in paths:
        check_whole(path)
        try:
            tarfile.open(path).close()
        except (tarfile.TarError, *DAMAGED) as error:
            raise ValueError(f"Cannot read {str(path)!r}: it is no tar file: {error}.") from error
    return LazyItems(partial(_items, paths, columns))


def _items(paths: Sequence[Path], columns: Columns) -> Iterator[MemoryItem | UnreadableItem]:
    for path in paths:
        name, sample = None, {}
        for key, suffix, content in _members(path):
            if key != name and sample:
                yield from _item(path, name, sample, columns)
                sample = {}
            name = key
            if isinstance(content, UnreadableItem):
                yield content
            else:
                sample.setdefault(suffix, content)
        if sample:
            yield from _item(path, name, sample, columns)


def _members(path: Path) -> Iterator[tuple[str, str, bytes | UnreadableItem]]:
    """Name of the sample, ending and content of each member that is a file."""
    known = {*picture_suffixes(), *_TEXTS, _LABEL, ".json"}
    last = "its beginning"
    try:
        with tarfile.open(path, "r|*") as archive:  # from the beginning to the end, without going back
            while (member := archive.next()) is not None:
                archive.members = []  # which would hold the head of every member
                place = PurePosixPath(member.name)
                if member.isdir() or any(part.startswith(".") for part in place.parts if part not in (".", "..")):
                    continue
                # As webdataset does: `a.seg.png` is of the sample `a`.
                stem, dot, rest = place.name.partition(".")
                key, suffix = str(place.with_name(stem)) if stem else member.name, f"{dot}{rest}".lower()
                where = f"{str(path)!r}, member {member.name!r}"
                if not member.isfile():
                    yield key, suffix, UnreadableItem(f"{where}: it is no regular file.")
                elif suffix not in known:
                    reason = f"{where}: it is not read, as it ends with {suffix!r}."
                    yield key, suffix, UnreadableItem(reason, is_error=False)
                else:
                    yield key, suffix, archive.extractfile(member).read()
                last = f"member {member.name!r}"
    except (tarfile.TarError, *DAMAGED) as error:
        raise ValueError(f"{str(path)!r}, after {last}: the file is damaged: {error}.") from error


def _item(path: Path, name: str, sample: dict[str, bytes], columns: Columns) -> Iterator[MemoryItem | UnreadableItem]:
    where = f"{str(path)!r}, sample {name!r}"
    pictures = [suffix for suffix in sample if suffix in picture_suffixes()]
    if not pictures:
        yield UnreadableItem(
            f"{where}: it has no picture beside {', '.join(f'{name}{suffix}' for suffix in sample)}; the members of a "
            "sample must stand next to each other.",
            name,
        )
        return
    try:
        row = _fields(sample)
        beside = next(filter(None, (_text(sample, suffix) for suffix in _TEXTS)), None)
    except (RecursionError, ValueError) as error:
        yield UnreadableItem(f"{where}: {_words(error)}", name)
        return
    text, item_id = columns.take_text(row), columns.take_id(row)
    if columns.text is None or text is None:
        text = beside or text
    item_id = name if is_missing(item_id) else item_id
    yield make_item(where, image=sample[pictures[0]], text=text, id=item_id, metadata=row)
    for suffix in pictures[1:]:
        yield UnreadableItem(f"{where}: {name}{suffix} is not read: it is a second picture.", is_error=False)


def _fields(sample: dict[str, bytes]) -> dict[str, Any]:
    """Fields of the `.json` of a sample, and its label."""
    row = json.loads(_text(sample, ".json") or "{}")
    if not isinstance(row, dict):
        raise ValueError(f"its .json must be an object, got {row!r:.80}.")
    if label := _text(sample, _LABEL):
        row["label"] = int(label) if label.isdecimal() else label
    return row


def _text(sample: dict[str, bytes], suffix: str) -> str:
    return sample.get(suffix, b"").decode("utf-8-sig").strip()


def _words(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"a text in it is not UTF-8: {error}."
    if isinstance(error, json.JSONDecodeError):
        return f"its .json is no valid JSON: {error}."
    return str(error)
