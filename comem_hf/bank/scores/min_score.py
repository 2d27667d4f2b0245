"""`min_score`: the least probability of hits."""

import numbers

from transformers.utils import logging

from .calibration import MIN_ITEMS, Calibration


logger = logging.get_logger(__name__)

_CHANGED = 2  # times as many items, or as few: neighbours are nearer, or farther, than those of the fit


def check_min_score(
    min_score: float | None, calibration: Calibration | None, num_items: int, folder: str, by_text: bool = False
) -> None:
    """Refuse a `min_score` that is no probability, or for which there are no probabilities.

    Args:
        min_score (`float`, *optional*): The least probability; nothing is checked if not given.
        calibration (`Calibration`, *optional*): The bank's calibration.
        num_items (`int`): Items of the bank now.
        folder (`str`): Its folder, for messages.
        by_text (`bool`, defaults to `False`): Whether texts or vectors are searched for, alone or with pictures.

    Raises:
        ValueError: If it cannot be used; the message says why, and what helps.
    """
    if min_score is None:
        return
    if isinstance(min_score, bool) or not isinstance(min_score, numbers.Real) or not 0 <= min_score <= 1:
        raise ValueError(f"`min_score` must be a probability from 0 to 1, got {min_score!r}.")
    if by_text:
        raise ValueError(
            f"`min_score` {min_score!r} is for searches by pictures alone: what a text or a vector finds has a score, "
            "but no probability. Leave it out."
        )
    if calibration is None:
        way_out = "`bank.calibrate()` or `comem calibrate` fits them"
        if num_items < MIN_ITEMS:
            way_out = f"that needs at least {MIN_ITEMS} items, and it has {num_items}"
        raise ValueError(
            f"`min_score` {min_score!r} is a probability, and the bank {folder!r} has none for its hits: {way_out}."
        )
    if not calibration.num_items / _CHANGED <= num_items <= calibration.num_items * _CHANGED:
        logger.warning_once(
            f"The bank {folder!r} has {num_items} items, and its probabilities are of a time when it had "
            f"{calibration.num_items}: `bank.calibrate()` fits them anew."
        )
