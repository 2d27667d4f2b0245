"""Numbers in texts as InfoSeek's evaluator reads them, and whether they lie in a range.

Source of the rules: `infoseek_eval.py` of edchengg/infoseek_eval (commit bec0c4c).
"""

import re
from collections.abc import Sequence


NUMBER = re.compile(r"[-+]?\.?\d+(?:,\d\d\d)*\.?\d*(?:[eE][-+]?\d+)?")
LEAST_OVERLAP = 0.5 - 1e-12


def numbers_in(text: str) -> tuple[float, ...] | None:
    """Return the number or the range that a text states.

    A hyphen behind a digit is a dash, not a sign. Points at the ends of a number are dropped, so that `.5` is 5.

    Args:
        text (`str`): The answer.

    Returns:
        `tuple[float, ...]`, *optional*: The first two numbers if the first is not the greater one, else the first
        number; (0, 0) if there is no number; `None` if a number cannot be read (`-.5.3`), where the evaluator crashes.
    """
    spaced = "".join(
        " - " if letter == "-" and place and text[place - 1].isdigit() else letter for place, letter in enumerate(text)
    )
    found = []
    for number in NUMBER.findall(spaced):
        number = number.replace(",", "").strip(".")
        if number.count(".") > 1:
            number = number.partition(".")[0]
        try:
            found.append(float(number))
        except ValueError:
            return None
    if not found:
        return (0.0, 0.0)
    return tuple(found[:2]) if len(found) > 1 and found[0] <= found[1] else (found[0],)


def in_range(found: tuple[float, ...] | None, right: Sequence[float]) -> float:
    """Return 1 if a number, or a range, is right.

    Args:
        found (`tuple[float, ...]`, *optional*): From [`numbers_in`]; `None` is wrong.
        right (`Sequence[float]`): Lower and upper end of the right range.

    Returns:
        `float`: 1 if the number or both ends lie inside, ends included, or if a range shares half of the union with
        the right one.
    """
    if found is None:
        return 0.0
    low, high = right
    if all(low <= number <= high for number in found):
        return 1.0
    return float(len(found) == 2 and overlap(found, right) >= LEAST_OVERLAP)


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the length that two ranges share, divided by the length of their union."""
    shared = max(0.0, min(max(one), max(other)) - max(min(one), min(other)))
    lengths = sum(max(ends) - min(ends) + 1e-12 for ends in (one, other))
    return shared / (lengths - shared) if lengths != shared else 0.0
