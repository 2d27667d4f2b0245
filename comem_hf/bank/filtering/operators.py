"""The operators of a filter, and which operands they take."""

import json
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from difflib import get_close_matches

import numpy as np
from transformers.utils import logging

from comem_hf.bank.sources.rows.plain_values import plain


logger = logging.get_logger(__name__)

COMPARISONS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
LISTS = ("$in", "$nin")
OF_FIELDS = (*COMPARISONS, *LISTS, "$exists", "$contains", "$not")
OF_FILTERS = ("$and", "$or", "$not")
OPERATORS = tuple(dict.fromkeys((*OF_FIELDS, *OF_FILTERS)))
ORDERINGS = ("$gt", "$gte", "$lt", "$lte")

_SEQUENCES = (list, tuple, set, frozenset, np.ndarray)
# As text, 1 differs from true and from "1".
as_text = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False).encode


def is_list(value: object) -> bool:
    """Whether a value of a filter is a list of values."""
    return isinstance(value, _SEQUENCES)


def check_operator(name: str, at: str, allowed: tuple[str, ...]) -> None:
    """Raise a `ValueError` if there is no such operator, or it has no meaning at this place.

    Args:
        name (`str`): The operator.
        at (`str`): Its place in the filter, for the message.
        allowed (`tuple[str, ...]`): The operators that can stand there.
    """
    if name in allowed:
        return
    if name in OPERATORS:
        reason = "combines whole filters" if name in OF_FILTERS else "needs a field: {'price': {'$gte': 30}}"
        raise ValueError(
            f"`{at}` has the operator {name!r} in the wrong place: it {reason}; here: {', '.join(allowed)}."
        )
    close = get_close_matches(name, OPERATORS, 1, cutoff=0.7)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise ValueError(f"`{at}` has the unknown operator {name!r}{hint} There are: {', '.join(OPERATORS)}.")


def check_operand(name: str, operand: object, at: str) -> object:
    """Return the operand of a field's operator as a plain JSON value.

    Args:
        name (`str`): The operator, one of `OF_FIELDS`.
        operand: What the user gave.
        at (`str`): Place of the field in the filter, for the message.

    Raises:
        ValueError: If the operator cannot take it.
    """
    value = plain_value(operand, at)
    refuse_null(name, value, at)
    if name in LISTS and not isinstance(value, list):
        raise ValueError(f"`{at}`: `{name}` needs a list of values, got {operand!r}.")
    if name in ORDERINGS and (isinstance(value, bool) or not isinstance(value, (int, float, str))):
        raise ValueError(f"`{at}`: `{name}` compares with a number or a string, got {operand!r}.")
    if name == "$exists" and not isinstance(value, bool):
        raise ValueError(f"`{at}`: `$exists` needs true or false, got {operand!r}.")
    if name == "$contains" and (value is None or isinstance(value, (list, dict))):
        raise ValueError(
            f"`{at}`: `$contains` looks for a string, a number, true or false in a list, or for a string in a string, "
            f"got {operand!r}."
        )
    return value


def refuse_null(name: str, value: object, at: str) -> None:
    """Raise a `ValueError` if an operator compares with null, which equals nothing; warn if there is nothing to equal.

    Args:
        name (`str`): The operator.
        value: Its operand, as JSON.
        at (`str`): Place of the field in the filter, for the message.
    """
    if name in ("$eq", "$ne") and value is None or name in LISTS and isinstance(value, list) and None in value:
        exists = name in ("$ne", "$nin")
        with_field = "with" if exists else "without"
        raise ValueError(
            f"`{at}`: no value equals null; items {with_field} the field are found by {{'$exists': {exists}}}."
        )
    if name == "$in" and value == []:
        logger.warning(f"`{at}`: the list of values is empty, so no item fits.")


def plain_value(value: object, at: str) -> object:
    """Return a value of a filter as plain JSON: tuples and sets become lists.

    Dates, decimals and numbers of numpy become what the metadata of items has for them (see [`plain`]).

    Raises:
        ValueError: If JSON has no such value.
    """
    try:
        found = _plain(value)
        as_text(found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{at}` must be a JSON value or a list of them, got {value!r}.") from error
    return found


def _plain(value: object) -> object:
    if isinstance(value, np.floating):
        return float(value)  # NaN is refused, and `plain` would make null of it
    if isinstance(value, (np.generic, date, time, Decimal)):
        return plain(value)
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("keys of JSON objects are strings")
        return {name: _plain(each) for name, each in value.items()}
    if is_list(value):
        values = [_plain(each) for each in value]
        return sorted(values, key=as_text) if isinstance(value, (set, frozenset)) else values
    return value
