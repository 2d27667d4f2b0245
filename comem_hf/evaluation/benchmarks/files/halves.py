"""The first questions of a file, from both of its halves: those that a benchmark scores apart."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from .rows import Row


def first_of_both(rows: Iterable[Row], limit: int | None, half_of: Callable[[Row], object]) -> Iterator[Row]:
    """Take the first rows, at most half of them from each half of the benchmark.

    A number that is made of both halves needs questions of both, and files may hold one behind the other.

    Args:
        rows (`Iterable[Row]`): The rows of a file; read no further than is needed.
        limit (`int`, *optional*): How many rows to take; all if not given. If it is odd, the half that fills first has
            one more; a half that has too few is not made up for by the other.
        half_of (`Callable[[Row], object]`): Tells which half a row is of.

    Returns:
        `Iterator[Row]`: The rows, in the order of the file.
    """
    if limit is None:
        yield from rows
        return
    taken: Counter = Counter()
    for row in rows if limit else ():
        half = half_of(row)
        if taken[half] < (limit + 1) // 2:
            taken[half] += 1
            yield row
        if taken.total() == limit:
            return
