"""Encoding the items of one shard, without those that cannot be used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from comem_hf.bank.format.record import ItemRecord

from .input_rows import InputRow
from .item_encoder import ItemEncoder
from .skipped import labelled


@dataclass(frozen=True)
class EncodedRows:
    """The encoded items of a shard.

    Args:
        records (`list[ItemRecord]`): The items that can be used.
        memory (`torch.Tensor` or `None`): Shape (items, memory tokens, hidden), on the CPU; `None` without items.
        embeddings (`np.ndarray` or `None`): Shape (items, embedding size).
        skipped (`list[dict]`): `{"item", "id", "reason"}` for each item that cannot be used, and for each
            other file (see [`write_skipped`]).
        repeated (`list[dict]`): The same with `"repetition": True` for each item that is a repetition of another.
        tried (`int`): Items that went through the encoder.
    """

    records: list[ItemRecord]
    memory: torch.Tensor | None
    embeddings: np.ndarray | None
    skipped: list[dict]
    repeated: list[dict]
    tried: int


def encode_rows(
    encoder: ItemEncoder, rows: Sequence[InputRow], on_error: str, progress: Callable[[int], object]
) -> EncodedRows:
    """Encode the items of a shard.

    Args:
        encoder (`ItemEncoder`): Encodes them.
        rows (`Sequence[InputRow]`): The items as they came in.
        on_error (`str`): What to do with an item that cannot be used: `"skip"` or `"raise"`.
        progress (`Callable[[int], object]`): Called with the number of items of each finished batch.

    Raises:
        ValueError: If an item cannot be used and `on_error` is `"raise"`.
    """
    problems = {row.number: row.problem for row in rows if row.problem is not None}
    check_problems(rows, problems, on_error)
    usable = [row for row in rows if row.problem is None and row.repetition is None]
    encoded = encoder.encode([row.record for row in usable], progress)
    failed = {row.number: row.named(one.problem) for row, one in zip(usable, encoded, strict=True) if one.problem}
    problems |= failed | {row.number: _after_a_failed_one(row) for row in rows if row.first in failed}
    check_problems(rows, problems, on_error)
    good = [one for one in encoded if one.problem is None]
    return EncodedRows(
        records=[row.record for row in usable if row.number not in problems],
        memory=torch.stack([one.memory for one in good]) if good else None,
        embeddings=np.stack([one.embedding for one in good]) if good else None,
        skipped=[
            {"item": row.number, "id": row.id, "reason": problems[row.number]}
            | ({} if row.is_error else {"other_file": True})
            for row in rows
            if row.number in problems
        ],
        repeated=[
            {"item": row.number, "id": row.id, "reason": row.repetition, "repetition": True}
            for row in rows
            if row.number not in problems and row.repetition is not None
        ],
        tried=len(usable),
    )


def _after_a_failed_one(row: InputRow) -> str:
    """Why an item is left out whose id an item of the same shard has that turned out to be damaged."""
    return row.named(
        f"item {row.first} came first with the id {row.id!r}, but cannot be used itself; correct item {row.first}, or "
        "give the two different ids."
    )


def check_on_error(on_error: str) -> None:
    """Raise a `ValueError` if `on_error` is neither `"skip"` nor `"raise"`."""
    if on_error not in ("skip", "raise"):
        raise ValueError(f"`on_error` must be 'skip' or 'raise', got {on_error!r}.")


def check_problems(rows: Sequence[InputRow], problems: Mapping[int, str], on_error: str) -> None:
    """Raise a `ValueError` about the first item with a problem that is an error, if `on_error` is `"raise"`."""
    if on_error != "raise":
        return
    for row in rows:
        if row.number in problems and row.is_error:
            raise ValueError(labelled({"item": row.number, "id": row.id, "reason": problems[row.number]}))
