"""How scores, counts and names are written in the tables of a report."""

from collections.abc import Sequence
from typing import Any


UNKNOWN = "—"
SCORERS = ("official", "release")
"""Names of scorers, in the order of columns."""


def score_cell(score: dict[str, Any]) -> str:
    """Return a score with its interval; a dash for a way in which no question could be asked."""
    if score["score"] is None:
        return UNKNOWN
    return f"{score['score']:.2f} [{score['low']:.1f}, {score['high']:.1f}]"


def difference_cell(score: dict[str, Any]) -> str:
    """Return a difference with its interval, all with signs."""
    if score["difference"] is None:
        return UNKNOWN
    return f"{_signed(score['difference'], 2)} [{_signed(score['low'], 1)}, {_signed(score['high'], 1)}]"


def mean_cell(mean: float | None) -> str:
    """Return the mean score of a part of the questions."""
    return UNKNOWN if mean is None else f"{mean:.1f}"


def positions_cell(way: dict[str, Any]) -> str:
    """Return the mean number of prompt positions; a dash if no question was asked, or other code asked."""
    return UNKNOWN if way["positions"] is None else f"{way['positions']:,.0f}"


def overview_scores(scores: Sequence[dict[str, Any]], *, intervals: bool) -> list[str]:
    """Return the first score of each of [`SCORERS`], for a table of all benchmarks.

    Args:
        scores (`Sequence[dict]`): All scores of a way; there may be several of one name, or none.
        intervals (`bool`): Whether there is room for the intervals.
    """
    cells = []
    for name in SCORERS:
        found = next((score for score in scores if score["scorer"] == name), {"score": None})
        text = score_cell(found)
        cells.append(text if intervals else text.partition(" ")[0])
    return cells


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")
