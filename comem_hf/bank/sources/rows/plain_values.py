"""Values of rows as JSON can hold them."""

import math
from datetime import date, time, timedelta
from typing import Any

import numpy as np


def is_missing(value: object) -> bool:
    """Whether a value stands for none: `None`, NaN, or pandas' `NaT` and `NA`."""
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def plain(value: Any) -> Any:
    """The value as JSON can hold it, at any depth.

    Dates become text in ISO's form, numpy's numbers Python's, tuples lists; NaN, infinity and pandas' missing values
    become `None`. What JSON cannot hold otherwise is returned unchanged.
    """
    if is_missing(value):
        return None
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return None if np.isnat(value) else str(value)
    if isinstance(value, (np.bool_, np.number)):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(list(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (date, time, timedelta)):  # a datetime is a date, too
        return str(value) if isinstance(value, timedelta) else value.isoformat()
    return value
