"""Rows that are left out, and how many may be."""

from transformers.utils import logging


logger = logging.get_logger(__name__)

MOST = 0.05
"""Share of the rows that may be left out; with more, training is refused."""
SHOWN = 3


class Skipped:
    """The rows that are left out of some, each with its reason.

    Args:
        name (`str`): Name of the rows' place.
    """

    def __init__(self, name: str):
        self.name = name
        self.reasons: list[str] = []

    def add(self, reason: str) -> None:
        """Leave a row out; the reason begins with the name of the row."""
        self.reasons.append(reason)

    def check(self, total: int) -> None:
        """Refuse if too many rows are left out, else say how many.

        Args:
            total (`int`): Number of all rows, with those.

        Raises:
            ValueError: If they are more than [`MOST`] of all; the message names the first few.
        """
        self.refuse_many(total)
        if self.reasons:
            logger.warning(f"{self._share_of(total)} and are left out: {self._first()}")

    def refuse_many(self, total: int) -> None:
        """Refuse if too many rows are left out; see [`Skipped.check`]."""
        if len(self.reasons) > MOST * total:
            raise ValueError(f"{self._share_of(total)}, and at most {MOST:.0%} may be left out: {self._first()}")

    def _share_of(self, total: int) -> str:
        count = len(self.reasons)
        return f"{self.name}: {count:,} of {total:,} rows ({count / total:.1%}) cannot be used"

    def _first(self) -> str:
        return " ".join(self.reasons[:SHOWN]) + (" ..." if len(self.reasons) > SHOWN else "")
