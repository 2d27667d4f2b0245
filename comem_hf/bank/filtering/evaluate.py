"""Evaluation of conditions on the values of fields, by `pyarrow.compute`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .conditions import Condition, Group
from .field_values import LARGEST_INTEGER, SMALLEST_INTEGER, FieldValues, structure_text


Mask = np.ndarray
Column = tuple[str, bool]
"""A field, and whether it is needed as text of its lists and objects, to compare those as a whole."""


def columns_of(condition: Condition) -> list[Column]:
    """The columns that a condition looks at."""
    if condition.operator in ("$eq", "$ne"):
        operands = [condition.operand]
    elif condition.operator in ("$in", "$nin"):
        operands = condition.operand
    else:
        return [(condition.field, False)]
    whole = any(isinstance(operand, (list, dict)) for operand in operands)
    return [(condition.field, False), *([(condition.field, True)] if whole else [])]


def evaluate(part: Condition | Group, columns: Mapping[Column, FieldValues], count: int) -> Mask:
    """Return which rows fit, bool of shape (rows,).

    A missing field and null fit `$ne`, `$nin` and `$exists: false` alone. Numbers compare with numbers, strings with
    strings, by their code points. `$not` is true exactly where its filter is not.

    Args:
        part (`Condition` or `Group`): The condition.
        columns (`Mapping[Column, FieldValues]`): The columns that it looks at (see [`columns_of`]).
        count (`int`): Number of rows.
    """
    if isinstance(part, Group):
        masks = (evaluate(each, columns, count) for each in part.parts)
        if part.operator == "$or":
            return np.logical_or.reduce(list(masks))
        mask = np.logical_and.reduce(list(masks))
        return ~mask if part.operator == "$not" else mask
    values, operand = columns[part.field, False], part.operand
    if part.operator in ("$eq", "$ne", "$in", "$nin"):
        operands = operand if part.operator in ("$in", "$nin") else [operand]
        mask = _among(values, operands, columns.get((part.field, True)))
        return ~mask if part.operator in ("$ne", "$nin") else mask
    if part.operator == "$exists":
        return values.present == operand
    if part.operator == "$contains":
        return _contains(values, operand)
    return _ordered(values, part.operator, operand)


def _among(values: FieldValues, operands: Sequence[Any], structures: FieldValues | None = None) -> Mask:
    """Rows whose value equals one of the operands."""
    import pyarrow as pa

    numbers = [each for each in operands if isinstance(each, (int, float)) and not isinstance(each, bool)]
    whole = [int(each) for each in numbers if each == math.floor(each)]
    wanted = (
        (values.integers, pa.int64(), [each for each in whole if SMALLEST_INTEGER <= each <= LARGEST_INTEGER]),
        (values.floats, pa.float64(), [_nearest_float(each) for each in numbers if _is_comparable(each)]),
        (values.booleans, pa.bool_(), [each for each in operands if isinstance(each, bool)]),
        (values.strings, pa.large_string(), [each for each in operands if isinstance(each, str)]),
        (
            structures and structures.strings,
            pa.large_string(),
            [structure_text(each) for each in operands if isinstance(each, (list, dict))],
        ),
    )
    mask = np.zeros(len(values.present), dtype=bool)
    for array, arrow, chosen in wanted:
        if array is not None and chosen:
            mask |= _mask("is_in", array, value_set=pa.array(chosen, arrow))
    return mask


def _contains(values: FieldValues, operand: Any) -> Mask:
    """Rows whose list has the operand as an element, or whose string has it as a part."""
    mask = np.zeros(len(values.present), dtype=bool)
    if values.strings is not None and isinstance(operand, str):
        mask |= _mask("match_substring", values.strings, pattern=operand)
    if values.elements is not None:
        mask[values.owners[_among(values.elements, [operand])]] = True
    return mask


def _ordered(values: FieldValues, operator: str, operand: Any) -> Mask:
    """Rows whose value is greater or less than the operand."""
    mask = np.zeros(len(values.present), dtype=bool)
    if isinstance(operand, str):
        if values.strings is not None:
            mask |= _compared(values.strings, operator, operand)
        return mask
    if values.integers is not None:
        nearest = math.floor(operand)
        nearest = min(max(nearest, SMALLEST_INTEGER), LARGEST_INTEGER)
        mask |= _compared(values.integers, *_bound(operator, operand, nearest))
    if values.floats is not None:
        mask |= _compared(values.floats, *_bound(operator, operand, _nearest_float(operand)))
    return mask


def _bound(operator: str, operand: Any, nearest: Any) -> tuple[str, Any]:
    """The comparison with a number of the array's type that is the same as the one with the operand.

    No number of that type lies between `nearest` and the operand.
    """
    if nearest == operand:
        return operator, nearest
    if operator in ("$gt", "$gte"):
        return ("$gte" if nearest > operand else "$gt"), nearest
    return ("$lt" if nearest > operand else "$lte"), nearest


def _compared(array, operator: str, operand: Any) -> Mask:
    import pyarrow as pa

    names = {"$gt": "greater", "$gte": "greater_equal", "$lt": "less", "$lte": "less_equal"}
    return _mask(names[operator], array, pa.scalar(operand, array.type))


def _mask(function: str, array, *arguments, **options) -> Mask:
    """A function of `pyarrow.compute` as a mask, which is false where the array has no value."""
    import pyarrow.compute as pc

    compute: Callable = getattr(pc, function)
    return compute(array, *arguments, **options).fill_null(False).to_numpy(zero_copy_only=False)


def _nearest_float(number: int | float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _is_comparable(number: int | float) -> bool:
    """Whether a float can equal a number: integers of more than 64 bits are stored as floats."""
    return _nearest_float(number) == number or not SMALLEST_INTEGER <= number <= LARGEST_INTEGER
