"""Which rows a search may return: those that fit a filter, among some, without others."""

from collections.abc import Sequence

import numpy as np

from comem_hf.bank.index.index import Selection


def rows_in(selection: Selection, num_rows: int) -> np.ndarray:
    """The rows of a selection, int64, in ascending order."""
    return np.flatnonzero(_mask(selection, num_rows))


def narrowed(
    selection: Selection | None, num_rows: int, only: Sequence[int] | None, without: Sequence[int] | None
) -> Selection | None:
    """Narrow a selection down.

    Args:
        selection (`Selection`, *optional*): The rows; all if not given.
        num_rows (`int`): Rows of the bank.
        only (`list[int]`, *optional*): Rows of which the others are left out.
        without (`list[int]`, *optional*): Rows that are left out.

    Returns:
        `Selection`: The rows that are left; `None` for all.
    """
    if only is None and not without:
        return selection
    mask = np.ones(num_rows, dtype=bool) if selection is None else _mask(selection, num_rows)
    if only is not None:
        chosen = np.zeros(num_rows, dtype=bool)
        chosen[list(only)] = True
        mask &= chosen
    if without:
        mask[list(without)] = False
    return Selection.of(mask)


def _mask(selection: Selection, num_rows: int) -> np.ndarray:
    return np.unpackbits(selection.bits, count=num_rows, bitorder="little").astype(bool)
