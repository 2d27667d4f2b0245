"""Values of rows as JSON can hold them."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np


_LARGEST_NUMBER = 300  # decimal digits; floats end a little above


def is_missing(value: object) -> bool:
    """Whether a value stands for none: `None`, NaN, or pandas' `NaT` and `NA`."""
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NaTType", "NAType")


def plain(value: Any) -> Any:
    """The value as JSON can hold it, at any depth.

    Bytes are left out of the dict or list that they are in; where they are the value itself, they become `None`, and
    so do NaN, infinity and pandas' missing values. Dates become text in ISO's form, numbers and arrays of numpy those
    of Python, a `Decimal` an `int` if it is whole and a `float` if not, tuples lists, and sets sorted lists. Anything
    else (`UUID`, `Path`, `Enum`, ...) becomes text as `str` gives it; only an object whose text is its address in
    memory, which differs from run to run, is returned unchanged.
    """
    if is_missing(value) or _is_bytes(value):
        return None
    if isinstance(value, Mapping):
        is_known = {type(key) for key in value} <= {str}
        return {key if is_known else _key(key): plain(each) for key, each in value.items() if not _is_bytes(each)}
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, Decimal)):
        return _number(value)
    if isinstance(value, (date, time)):  # a datetime is a date, too
        return value.isoformat()
    if isinstance(value, np.generic):
        return _of_numpy(value)
    if isinstance(value, np.ndarray):
        return _list(value) if value.ndim else plain(value[()])
    if isinstance(value, Sequence):
        return _list(value)
    if isinstance(value, Set):
        return _sorted(_list(value))
    if hasattr(value, "tolist"):  # a tensor, or a column of pandas
        return plain(value.tolist())
    text = str(value)
    return value if " at 0x" in text else text


def id_as_text(value: Any) -> Any:
    """An id as text if it is a number or anything else that [`plain`] makes text of; `None` if it is missing.

    `True` and lists are no ids, and are returned unchanged for the message that says so.
    """
    if is_missing(value):
        return None
    found = plain(value)
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        return value
    return str(found)


def _is_bytes(value: object) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview))


def _list(values: Iterable[Any]) -> list[Any]:
    return [plain(each) for each in values if not _is_bytes(each)]


def _sorted(values: list[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # text and numbers have no order among each other
        return sorted(values, key=lambda each: (type(each).__name__, json.dumps(each, sort_keys=True, default=str)))


def _number(value: float | Decimal) -> int | float | str | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not value.is_finite():
        return None
    if value and value.adjusted() > _LARGEST_NUMBER:
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)


def _of_numpy(value: np.generic) -> Any:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.floating):  # `item` of a longdouble is the longdouble itself
        return plain(float(value))
    return plain(value.item())


def _key(key: Any) -> Any:
    """A key that JSON can sort among others."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)  # as JSON would write it
    return str(plain(key))
