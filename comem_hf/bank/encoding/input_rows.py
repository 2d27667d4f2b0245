"""Items on their way into a bank: numbered, read, and with repetitions marked."""

import hashlib
import io
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import PIL.Image

from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.pictures.decoding import load_record
from comem_hf.bank.pictures.spool import PictureSpool
from comem_hf.bank.sources.rows.plain_values import id_as_text, is_missing, plain
from comem_hf.bank.sources.rows.reasons import is_of_the_machine, reason_of
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO

from .embedder import Embedder
from .skipped import item_label


@dataclass(frozen=True)
class InputRow:
    """An item as it came in, and the reason if it is left out.

    Args:
        number (`int`): Place among the items, from 0.
        id (`str` or `None`): Id of the item, where it is known.
        record (`ItemRecord` or `None`): The item, if it could be read.
        problem (`str` or `None`): Why it cannot be used.
        repetition (`str` or `None`): What it is a repetition of, if there is an equal item: leaving it out loses
            nothing.
        first (`int` or `None`): Number of the earlier item that has its id, if there is one.
        name (`str`): What reasons call it: the path of its image file, or its number and id.
        is_error (`bool`): Whether `on_error="raise"` stops at its problem.
    """

    number: int
    id: str | None
    record: ItemRecord | None = None
    problem: str | None = None
    repetition: str | None = None
    first: int | None = None
    name: str = ""
    is_error: bool = True

    def named(self, problem: str) -> str:
        """The problem, beginning with the name of the item."""
        return problem if problem.startswith(self.name) else f"{self.name}: {problem}"


def read_rows(
    items: Iterable[MemoryItem | Mapping[str, Any] | UnreadableItem], embedder: Embedder | None
) -> Iterator[InputRow]:
    """Number and read items, image files included; of items with the same id, only the first is used.

    The first is the first that can be read and whose picture has a good header: an item that fails there has no id.
    Whatever is wrong further on is found when a picture is decoded, by the process that encodes its shard; to look
    for it here would have every process decode every picture. Such an item keeps its id from later ones. So the
    processes of a build, and one that goes on with it, agree without knowing each other's shards.

    A later one is a repetition if its text, picture and metadata are the same and its picture can be decoded, and
    otherwise a problem.

    Args:
        items (`Iterable[MemoryItem]`): The items, or mappings of their fields.
        embedder (`Embedder`, *optional*): Refuses items that it cannot make searchable.
    """
    first_of: dict[bytes, int] = {}  # with `contents` about 150 bytes per item, however long the ids are
    contents = array("Q")
    for number, item in enumerate(items):
        row = _read_row(number, item, embedder)
        contents.append(0 if row.record is None else int(row.record.content[:16], 16))
        if row.problem is None:
            first = first_of.setdefault(hashlib.blake2b(row.id.encode(), digest_size=16).digest(), number)
            if first != number:
                row = _later(replace(row, first=first), contents[first] == contents[number])
        yield row


def next_rows(rows: Iterator[InputRow], number: int, spool: PictureSpool | None) -> list[InputRow]:
    """Take rows, whose encoded pictures go into a spool: those of a shard may be more than fits into memory.

    Args:
        rows (`Iterator[InputRow]`): The rows, of which as many as there are are taken, up to `number`.
        number (`int`): Rows to take.
        spool ([`PictureSpool`], *optional*): Keeps the pictures; without it, they are lost.
    """
    return [_spooled(row, spool) for row in islice(rows, number)]


def _spooled(row: InputRow, spool: PictureSpool | None) -> InputRow:
    if row.record is None or row.record.image is None:
        return row
    image = None if spool is None else spool.put(row.record.image)
    return replace(row, record=replace(row.record, image=image))


def _later(row: InputRow, is_equal: bool) -> InputRow:
    """The row of an item whose id an earlier one has."""
    if not is_equal:
        return replace(row, problem=row.named(f"item {row.first} already has its id {row.id!r}."))
    row = _decoded(row)
    if row.problem is not None:  # then the earlier one is not stored either
        return row
    return replace(row, repetition=row.named(f"it is a repetition of item {row.first}."))


def _read_row(number: int, item, embedder: Embedder | None) -> InputRow:
    if isinstance(item, UnreadableItem):
        return InputRow(number, item.id, problem=item.reason, is_error=item.is_error)
    given = item if isinstance(item, Mapping) else {name: getattr(item, name, None) for name in ("id", "image")}
    item_id = given.get("id")
    row = _unread_row(number, item_id, given.get("image"))
    try:
        item_id = id_as_text(item_id)
        row = _unread_row(number, item_id, given.get("image"))
        if isinstance(item, Mapping):  # rows of pandas have NaN where there is nothing
            item = {name: None if is_missing(value) else value for name, value in item.items()}
            _check_names(item)
        item = MemoryItem.of(item)
        if item.images:
            raise ValueError(
                f"it has {len(item.images)} pictures, but a bank keeps one for each item: make each picture an item, "
                "or give the item to the model itself (`memories=`)."
            )
        if embedder is not None:
            embedder.check_item(item)
        metadata = None if is_missing(item.metadata) else item.metadata
        if isinstance(metadata, Mapping):
            metadata = plain(metadata)
        record = ItemRecord.from_item(replace(item, id=item_id, metadata=metadata))
    except Exception as error:  # the decoders of Pillow raise errors of many types
        if is_of_the_machine(error):
            raise
        return replace(row, problem=row.named(reason_of(error)))
    row = replace(row, id=record.id, record=record)
    return row if record.image is None or _has_good_header(record.image) else _decoded(row)


def _has_good_header(image: bytes) -> bool:
    try:
        with PIL.Image.open(io.BytesIO(image)) as opened:
            width, height = opened.size
    except Exception:  # decoding it gives the reason
        return False
    limit = PIL.Image.MAX_IMAGE_PIXELS
    return 0 < max(width, height) <= MAX_ASPECT_RATIO * min(width, height) and (not limit or width * height <= limit)


def _decoded(row: InputRow) -> InputRow:
    """The row, with a problem if its picture cannot be decoded."""
    try:
        load_record(row.record)
    except Exception as error:  # the decoders of Pillow raise errors of many types
        if is_of_the_machine(error):
            raise
        return replace(row, problem=row.named(reason_of(error)))
    return row


def _check_names(item: Mapping[str, Any]) -> None:
    names = [field.name for field in fields(MemoryItem)]
    if unknown := [name for name in item if name not in names]:
        raise ValueError(f"it has unknown keys {unknown}; put them into `metadata`. Known keys are {names}.")


def _unread_row(number: int, item_id: object, image: object) -> InputRow:
    known_id = item_id if isinstance(item_id, str) else None
    name = repr(str(image)) if isinstance(image, (str, Path)) else item_label(number, known_id)
    return InputRow(number, known_id, name=name)
