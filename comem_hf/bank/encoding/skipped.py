"""`skipped.jsonl`: the items that a build left out, and why; repetitions of other items are marked as such."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from comem_hf.files.whole_file import write_durably


SKIPPED_NAME = "skipped.jsonl"


def write_skipped(folder: Path, skipped: Sequence[dict]) -> None:
    """Write the report into the bank, where it stays: it names local files, so it is neither copied nor uploaded.

    Args:
        folder (`Path`): The bank.
        skipped (`Sequence[dict]`): `{"item": number from 0, "id": str or None, "reason": str}` for each, in any order,
            with `"repetition": True` for a repetition of another item, and `"other_file": True` for a file that was
            not read because it is no item. If it is empty, no file is written.
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


def is_other_file(entry: dict) -> bool:
    """Whether a file was not read that is no item, such as one of another kind among pictures."""
    return entry.get("other_file", False)


@dataclass(frozen=True)
class LeftOut:
    """How much was left out.

    Args:
        items (`int`): Items that came in; other files are none.
        skipped (`int`): Items that could not be used.
        repeated (`int`): Items that are repetitions of others.
        other_files (`int`): Files that were not read.
    """

    items: int
    skipped: int
    repeated: int
    other_files: int

    @classmethod
    def of(cls, entries: Sequence[dict], total: int) -> "LeftOut":
        """Count entries of the report.

        Args:
            entries (`Sequence[dict]`): As for [`write_skipped`].
            total (`int`): Number of everything that came in.
        """
        repeated, other_files = sum(map(is_repetition, entries)), sum(map(is_other_file, entries))
        return cls(total - other_files, len(entries) - repeated - other_files, repeated, other_files)

    def sentence(self) -> str:
        """The numbers that are not zero, in words, without a full stop."""
        counts = [f"{self.skipped} of {self.items} items were skipped"] if self.skipped else []
        counts += [f"{self.repeated} of {self.items} items are repetitions of others"] if self.repeated else []
        if self.other_files:
            what = "other file was" if self.other_files == 1 else "other files were"
            counts.append(f"{self.other_files} {what} not read")
        return ", and ".join(counts)


def item_label(number: int, item_id: str | None) -> str:
    """The name of an item in a message."""
    return f"Item {number}" if item_id is None else f"Item {number} (id {item_id!r})"


def labelled(entry: dict) -> str:
    """The reason of an entry of the report, beginning with the label of the item, or the path of another file."""
    label = item_label(entry["item"], entry["id"])
    is_named = is_other_file(entry) or entry["reason"].startswith(label)
    return entry["reason"] if is_named else f"{label}: {entry['reason']}"
