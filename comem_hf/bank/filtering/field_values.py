"""The values of one metadata field, as typed arrow arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .operators import as_text


LARGEST_INTEGER = 2**63 - 1
SMALLEST_INTEGER = -(2**63)
_KINDS = {bool: "boolean", int: "number", float: "number", str: "string", list: "list", dict: "object"}


@dataclass(frozen=True)
class FieldValues:
    """Values of a field in consecutive rows; each array has a row of its own type, and nulls elsewhere.

    Args:
        present (`np.ndarray`): Rows that have the field, and not null; bool of shape (rows,).
        kinds (`frozenset[str]`): Which of `"boolean"`, `"number"`, `"string"`, `"list"` and `"object"` occur.
        integers, floats, booleans, strings (`pyarrow.Array` or `None`): Values of these types; `None` if there are
            none. An integer of more than 64 bits is a float here.
        elements (`FieldValues` or `None`): Elements of all lists, one after the other.
        owners (`np.ndarray` or `None`): Row of each element.
    """

    present: np.ndarray
    kinds: frozenset[str]
    integers: Any = None
    floats: Any = None
    booleans: Any = None
    strings: Any = None
    elements: "FieldValues | None" = None
    owners: np.ndarray | None = None

    @classmethod
    def of(cls, values: Sequence[Any]) -> "FieldValues":
        """Sort values of JSON by their type; `None` stands for null and for a missing field."""
        import pyarrow as pa

        types = set(map(type, values))
        arrays = {}
        if int in types and not _fit(values):
            values = [value if type(value) is not int or _fits(value) else _as_float(value) for value in values]
            types = set(map(type, values))
        for name, kind, arrow in (
            ("integers", int, pa.int64()),
            ("floats", float, pa.float64()),
            ("booleans", bool, pa.bool_()),
            ("strings", str, pa.large_string()),
        ):
            if kind in types:
                mine = values if types <= {kind, type(None)} else [v if type(v) is kind else None for v in values]
                arrays[name] = pa.array(mine, arrow)
        if list in types:
            lists = [(row, value) for row, value in enumerate(values) if type(value) is list]
            arrays["elements"] = cls.of([element for _, value in lists for element in value])
            arrays["owners"] = np.repeat([row for row, _ in lists], [len(value) for _, value in lists])
        present = np.ones(len(values), dtype=bool)
        if type(None) in types:
            present = np.fromiter((value is not None for value in values), bool, len(values))
        return cls(present, frozenset(_KINDS[kind] for kind in types - {type(None)}), **arrays)


def structure_text(value: Any) -> str | None:
    """Text by which lists and objects are compared: 10 and 10.0 are the same number; `None` for other values."""
    return as_text(_with_equal_numbers(value)) if isinstance(value, (list, dict)) else None


def kind_of(value: Any) -> str | None:
    """The kind of a JSON value; `None` for null."""
    return _KINDS.get(type(value))


def _with_equal_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_equal_numbers(each) for each in value]
    if isinstance(value, dict):
        return {name: _with_equal_numbers(each) for name, each in value.items()}
    return value


def _fit(values: Sequence[Any]) -> bool:
    return all(type(value) is not int or _fits(value) for value in values)


def _fits(value: int) -> bool:
    return SMALLEST_INTEGER <= value <= LARGEST_INTEGER


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
