"""The rows of a file or an object, whatever its format."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


Row = tuple[str, dict[str, Any] | ValueError]
"""Place of a row, such as `"'a.csv', line 3"`, and its fields, or an error that says why they cannot be read."""


@dataclass(frozen=True)
class Table:
    """Rows that are read one after the other, anew for each iteration.

    Args:
        name (`str`): What messages call it; a path in quotation marks.
        columns (`tuple[str, ...]`, *optional*): Names of the columns; `None` if each row has its own fields, as in
            JSON.
        read (`Callable[[Collection[str]], Iterator[Row]]`): Starts from the first row. It is given the names of the
            columns whose values are text, whatever they look like, which matters where a file does not say (CSV). It
            raises a `ValueError` where the file is so damaged that nothing after it can be read.
        count (`Callable[[], int | None]`): About how many rows there are; `None` if that is not cheap to find out.
    """

    name: str
    columns: tuple[str, ...] | None
    read: Callable[[Collection[str]], Iterator[Row]]
    count: Callable[[], int | None] = lambda: None


def no_column(name: str, wanted: str, there: Collection[str]) -> ValueError:
    """The error for a column that a table does not have; it names the nearest one.

    Args:
        name (`str`): The table, the beginning of a sentence.
        wanted (`str`): The column.
        there (`Collection[str]`): The columns of the table.
    """
    lower = {str(each).lower(): str(each) for each in there}
    nearest = get_close_matches(wanted.lower(), lower, n=1, cutoff=0.5)
    meant = f" (did you mean {lower[nearest[0]]!r}?)" if nearest else ""
    return ValueError(f"{name} has no column {wanted!r}{meant}; its columns are {', '.join(map(str, there))}.")
