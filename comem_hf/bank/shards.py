"""Rows of a bank and the shards that hold them."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence


def group_by_shard(rows: Sequence[int], shard_ends: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Sort rows of the bank by the shard they lie in.

    Args:
        rows (`Sequence[int]`): Rows of the bank, in any order.
        shard_ends (`Sequence[int]`): Row of the bank at which each shard ends.

    Returns:
        `dict[int, list[tuple[int, int]]]`: shard → (place in `rows`, row inside the shard) of each of its rows.

    Raises:
        IndexError: If a row lies outside the bank.
    """
    groups = defaultdict(list)
    for place, row in enumerate(rows):
        if not 0 <= row < shard_ends[-1]:
            raise IndexError(f"Row {row} lies outside a bank of {shard_ends[-1]} items.")
        shard = bisect_right(shard_ends, row)
        groups[shard].append((place, row - (shard_ends[shard - 1] if shard else 0)))
    return dict(groups)
