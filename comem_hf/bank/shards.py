"""Rows of a bank and the shards that hold them."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate


def group_by_shard(rows: Sequence[int], shard_sizes: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Sort rows of the bank by the shard they lie in.

    Args:
        rows (`Sequence[int]`): Rows of the bank, in any order.
        shard_sizes (`Sequence[int]`): Items per shard.

    Returns:
        `dict[int, list[tuple[int, int]]]`: shard → (place in `rows`, row inside the shard) of each of its rows.

    Raises:
        IndexError: If a row lies outside the bank.
    """
    ends = list(accumulate(shard_sizes))
    groups = defaultdict(list)
    for place, row in enumerate(rows):
        if not 0 <= row < ends[-1]:
            raise IndexError(f"Row {row} lies outside a bank of {ends[-1]} items.")
        shard = bisect_right(ends, row)
        groups[shard].append((place, row - (ends[shard] - shard_sizes[shard])))
    return dict(groups)
