"""Items on their way into a bank: numbered, read, and with repetitions marked."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.sources.rows.plain_values import id_as_text, is_missing, plain
from comem_hf.bank.sources.rows.reasons import is_of_the_machine, reason_of
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.modeling.memory_item import MemoryItem

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
        name (`str`): What reasons call it: the path of its image file, or its number and id.
        is_error (`bool`): Whether `on_error="raise"` stops at its problem.
    """

    number: int
    id: str | None
    record: ItemRecord | None = None
    problem: str | None = None
    repetition: str | None = None
    name: str = ""
    is_error: bool = True

    def named(self, problem: str) -> str:
        """The problem, beginning with the name of the item."""
        return problem if problem.startswith(self.name) else f"{self.name}: {problem}"


def read_rows(
    items: Iterable[MemoryItem | Mapping[str, Any] | UnreadableItem], embedder: Embedder
) -> Iterator[InputRow]:
    """Number and read items, image files included; of items with the same id, only the first is used.

    A later one is a repetition if its text, picture and metadata are the same, and otherwise a problem.

    Args:
        items (`Iterable[MemoryItem]`): The items, or mappings of their fields.
        embedder (`Embedder`): Refuses items that it cannot make searchable.
    """
    first_of: dict[bytes, int] = {}  # with `contents` about 150 bytes per item, however long the ids are
    contents = array("Q")
    for number, item in enumerate(items):
        row = _read_row(number, item, embedder)
        contents.append(0 if row.record is None else int(row.record.content[:16], 16))
        if row.problem is None:
            first = first_of.setdefault(hashlib.blake2b(row.id.encode(), digest_size=16).digest(), number)
            if first != number:
                if contents[first] == contents[number]:
                    row = replace(row, repetition=f"It is a repetition of item {first}.")
                else:
                    row = replace(row, problem=row.named(f"item {first} already has its id {row.id!r}."))
        yield row


def _read_row(number: int, item, embedder: Embedder) -> InputRow:
    if isinstance(item, UnreadableItem):
        return InputRow(number, item.id, problem=item.reason, is_error=item.is_error)
    given = item if isinstance(item, Mapping) else {name: getattr(item, name, None) for name in ("id", "image")}
    item_id, image = id_as_text(given.get("id")), given.get("image")
    row = InputRow(number, item_id if isinstance(item_id, str) else None)
    row = replace(row, name=_name(number, row.id, image))
    try:
        if isinstance(item, Mapping):  # rows of pandas have NaN where there is nothing
            item = {name: None if is_missing(value) else value for name, value in item.items()}
            _check_names(item)
        item = MemoryItem.of(item)
        embedder.check_item(item)
        metadata = None if is_missing(item.metadata) else item.metadata
        if isinstance(metadata, Mapping):
            metadata = plain(metadata)
        record = ItemRecord.from_item(replace(item, id=item_id, metadata=metadata))
    except Exception as error:  # the decoders of Pillow raise errors of many types
        if is_of_the_machine(error):
            raise
        return replace(row, problem=row.named(reason_of(error)))
    return replace(row, id=record.id, record=record)


def _check_names(item: Mapping[str, Any]) -> None:
    names = [field.name for field in fields(MemoryItem)]
    if unknown := [name for name in item if name not in names]:
        raise ValueError(f"it has unknown keys {unknown}; put them into `metadata`. Known keys are {names}.")


def _name(number: int, item_id: str | None, image: object) -> str:
    return repr(str(image)) if isinstance(image, (str, Path)) else item_label(number, item_id)
