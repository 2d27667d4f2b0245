"""Changing the metadata of items, which the memory encoder does not read: nothing is encoded."""

import json
from collections.abc import Mapping

from comem_hf.bank.format.record import metadata_text
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.sources.rows.plain_values import plain

from .add_and_remove import check_writable
from .writer import BankWriter


def update_metadata(bank: BankState, changes: Mapping[str, Mapping[str, object]], wait: float = 0) -> None:
    """Change fields of the metadata of items; see [`MemoryBank.update_metadata`]."""
    if not isinstance(changes, Mapping):
        raise ValueError(f"`changes` must map ids to fields of their metadata, got {type(changes).__name__}.")
    given = {item_id: _fields(item_id, fields) for item_id, fields in changes.items()}
    check_writable(bank)
    with BankWriter(bank.folder, wait) as writer:
        now = writer.before
        rows = now.rows.rows_of(given)
        records = now.items.read_records(rows, with_images=False)
        changed = {}
        for row, record, fields in zip(rows, records, given.values(), strict=True):
            before = json.loads(changed.get(row, record.metadata))  # 7 and "7" are the same id
            kept = {name: value for name, value in before.items() if name not in fields}
            text = metadata_text(kept | {name: value for name, value in fields.items() if value is not None})
            if text != metadata_text(before):  # as text, 1 differs from true
                changed[row] = text
        writer.change_metadata(changed)
        writer.commit()


def _fields(item_id: object, fields: object) -> dict[str, object]:
    """Fields as JSON can hold them."""
    found = plain(fields) if isinstance(fields, Mapping) else None
    if found is None:
        raise ValueError(
            f"`changes` must map the id {item_id!r} to fields of its metadata, such as {{'price': 9.5}}, "
            f"got {fields!r:.80}."
        )
    try:
        metadata_text(found).encode()
    except (ValueError, UnicodeEncodeError) as error:
        raise ValueError(f"The new metadata of {item_id!r} cannot be stored: {error}") from error
    return found
