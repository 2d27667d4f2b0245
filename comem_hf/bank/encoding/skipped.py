"""`skipped.jsonl`: the items that a build left out, and why; repetitions of other items are marked as such."""

import json
from collections.abc import Sequence
from pathlib import Path

from comem_hf.files.whole_file import write_durably


SKIPPED_NAME = "skipped.jsonl"


def write_skipped(folder: Path, skipped: Sequence[dict]) -> None:
    """Write the report into the bank, where it stays: it names local files, so it is neither copied nor uploaded.

    Args:
        folder (`Path`): The bank.
        skipped (`Sequence[dict]`): `{"item": number from 0, "id": str or None, "reason": str}` for each, in any order,
            with `"repetition": True` for a repetition of another item. If it is empty, no file is written.
    """
    if skipped:
        in_order = sorted(skipped, key=lambda entry: entry["item"])
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in in_order)
        # UTF-8 has no lone surrogates: they become their JSON escapes.
        content = lines.encode("utf-8", errors="backslashreplace")
        write_durably(folder / SKIPPED_NAME, lambda path: path.write_bytes(content))


def read_skipped(folder: Path) -> list[dict]:
    """The report in a bank's folder; empty if nothing was left out."""
    path = folder / SKIPPED_NAME
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def is_repetition(entry: dict) -> bool:
    """Whether an item was left out because it is a repetition of another, which loses nothing."""
    return entry.get("repetition", False)


def item_label(number: int, item_id: str | None) -> str:
    """The name of an item in a message."""
    return f"Item {number}" if item_id is None else f"Item {number} (id {item_id!r})"


def labelled(entry: dict) -> str:
    """The reason of an entry of the report, beginning with the label of the item."""
    label = item_label(entry["item"], entry["id"])
    return entry["reason"] if entry["reason"].startswith(label) else f"{label}: {entry['reason']}"
