"""One shard of a bank that is being built: encoded, stored, and compared when the build is resumed."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from safetensors.numpy import save_file

from .config import items_name, memory_name
from .encode import ItemEncoder
from .index_build import EMBEDDINGS_KEY
from .inputs import InputRow
from .items import write_items
from .record import ItemRecord
from .skipped import item_label
from .staging import Staging, embeddings_name
from .vectors import write_memory


class ShardBuilder:
    """Turns consecutive items into a shard.

    Args:
        encoder (`ItemEncoder`): Encodes them.
        on_error (`str`): What to do with an item that cannot be used: `"skip"` or `"raise"`.
    """

    def __init__(self, encoder: ItemEncoder, on_error: str):
        if on_error not in ("skip", "raise"):
            raise ValueError(f"`on_error` must be 'skip' or 'raise', got {on_error!r}.")
        self.encoder = encoder
        self.on_error = on_error

    def write(self, staging: Staging, number: int, rows: Sequence[InputRow], progress: Callable[[int], object]) -> int:
        """Encode and store a shard.

        Args:
            staging (`Staging`): The work folder.
            number (`int`): Of the shard.
            rows (`Sequence[InputRow]`): Its items.
            progress (`Callable[[int], object]`): Called with the number of items of each finished batch.

        Returns:
            `int`: Items that went through the encoder.

        Raises:
            ValueError: If an item cannot be used and `on_error` is `"raise"`.
        """
        problems = {row.number: row.problem for row in rows if row.problem is not None}
        self._check_problems(rows, problems)
        usable = [row for row in rows if row.problem is None and not row.repeated]
        encoded = self.encoder.encode([row.record for row in usable], progress)
        problems |= {row.number: one.problem for row, one in zip(usable, encoded, strict=True) if one.problem}
        self._check_problems(rows, problems)
        records = [row.record for row in usable if row.number not in problems]
        files = {}
        if records:
            memory = torch.stack([one.memory for one in encoded if one.problem is None])
            embeddings = np.stack([one.embedding for one in encoded if one.problem is None])
            contents = {
                memory_name(number): lambda path: write_memory(path, memory, self.encoder.dtype),
                items_name(number): lambda path: write_items(path, records),
                embeddings_name(number): lambda path: save_file({EMBEDDINGS_KEY: embeddings}, path),
            }
            files = {name: staging.write(name, write) for name, write in contents.items()}
        skipped = [
            {"item": row.number, "id": row.id, "reason": problems[row.number]}
            for row in rows
            if row.number in problems
        ]
        staging.finish_shard(
            number,
            {
                "num_items": len(records),
                "input_items": len(rows),
                "digest": _digest(records),
                "skipped": skipped,
                "repeated": [row.number for row in rows if row.repeated],
                "files": files,
            },
        )
        return len(usable)

    def check(self, staging: Staging, number: int, rows: Sequence[InputRow]) -> None:
        """Compare the items of a finished shard with those it was made of, except those that were skipped.

        Raises:
            ValueError: If they differ, or one was skipped and `on_error` is `"raise"`.
        """
        if number not in staging.shards:
            raise ValueError(f"{str(staging.output)!r} already holds a memory bank, of fewer items.")
        shard = staging.shards[number]
        self._check_problems(rows, {entry["item"]: entry["reason"] for entry in shard["skipped"]})
        left_out = {*(entry["item"] for entry in shard["skipped"]), *shard["repeated"]}
        records = [row.record for row in rows if row.number not in left_out]
        if len(rows) != shard["input_items"] or None in records or _digest(records) != shard["digest"]:
            raise changed_items(staging, number)

    def _check_problems(self, rows: Sequence[InputRow], problems: dict[int, str]) -> None:
        if self.on_error == "raise" and problems:
            row = next(row for row in rows if row.number in problems)
            raise ValueError(f"{item_label(row.number, row.id)}: {problems[row.number]}")


def changed_items(staging: Staging, number: int) -> ValueError:
    """What to say of a finished shard whose items are others now."""
    first = number * staging.settings["shard_size"]
    last = first + staging.shards[number]["input_items"] - 1
    return ValueError(
        f"{str(staging.folder)!r} holds an unfinished build of other items: items {first} to {last} have changed. "
        "Give the same items to resume it, or remove that folder to start again."
    )


def _digest(records: Sequence[ItemRecord]) -> str:
    return hashlib.sha256("\n".join(record.digest for record in records).encode()).hexdigest()
