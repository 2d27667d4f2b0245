"""`--where` of commands: conditions such as `price>=30`, or a filter as JSON, turned into the `where` of a search."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence


WHERE_HELP = (
    "Only items with this metadata: FIELD=VALUE, !=, >, >=, < or <= (in quotes, else the shell takes > and < for "
    'itself), or a filter as JSON: \'{"price": {"$gte": 30}}\'. May be given several times: all must hold, but of '
    "several FIELD=VALUE of one field any. A VALUE that looks like a number is compared as what the bank stores: as a "
    'number with numbers, as text with strings, so sku=105 finds 105 and "105"; sku=\'"105"\' is text only.'
)

_CONDITION = re.compile(r"(?P<field>[^=!<>]*?)\s*(?P<operator>==|!=|>=|<=|=|>|<)\s*(?P<value>.*)", re.DOTALL)
_ORDERINGS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


def read_conditions(conditions: Sequence[str] | None, kinds: Callable[[str], Collection[str]]) -> dict | None:
    """Turn the values of `--where` into the `where` of a search.

    Args:
        conditions (`list[str]`, *optional*): What was given on the command line.
        kinds (`Callable[[str], Collection[str]]`): Kinds of values that a field of the bank has (see
            [`MemoryBank.metadata_kinds`]); asked only about numbers and truth values, which may be stored as
            strings.

    Raises:
        ValueError: If a condition cannot be read, or `kinds` knows no such field.
    """
    parts, equal = [], defaultdict(list)
    for condition in conditions or ():
        if condition.lstrip().startswith("{"):
            parts.append(_checked(_read_filter(condition), condition))
            continue
        match = _CONDITION.fullmatch(condition.strip())
        if match is None or not match["field"]:
            raise ValueError(
                f"`--where` must be FIELD=VALUE (or !=, >, >=, <, <=) or a filter as JSON, got {condition!r}."
            )
        field, operator = match["field"], match["operator"]
        if match["value"][:1] in ("=", "<", ">") and match["value"]:
            raise ValueError(_swapped(condition, field, operator, match["value"]))
        values = _read_values(match["value"], condition, field, operator, kinds)
        if operator in ("=", "=="):
            _checked({field: {"$in": values}}, condition)
            equal[field] += values
        elif operator == "!=":
            parts.append(_checked({field: {"$nin": values}}, condition))
        else:
            part = {field: {_ORDERINGS[operator]: _in_order(field, operator, values)}}
            parts.append(_checked(part, condition))
    parts += [{field: {"$in": values}} for field, values in equal.items()]
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None


def _checked(part: dict, condition: str) -> dict:
    """A filter that the bank will not refuse; an error names what was typed, not its place among several."""
    from comem_hf.bank.filtering.conditions import parse_where

    try:
        parse_where(part)
    except ValueError as error:
        raise ValueError(f"`--where` {condition!r}: {error}") from error
    return part


def _swapped(condition: str, field: str, operator: str, value: str) -> str:
    """The sentence about `price=>3`, whose value would be the text '>3'."""
    bare = value.lstrip("=<> ")
    signs = sorted({sign for sign in operator + value[: len(value) - len(bare)] if sign in "<>="}, key="<>=".index)
    written = "".join(signs)
    meant = f"{field}{written}{bare}" if written in ("=", "<", ">", "<=", ">=") else f"{field}={bare}"
    return f"`--where` {condition!r}: write {meant}; a text that begins with {value[0]!r} is written in double quotes."


def _read_filter(text: str) -> dict:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"`--where` {text!r} is no JSON: {error}.") from error


def _read_values(
    text: str, condition: str, field: str, operator: str, kinds: Callable[[str], Collection[str]]
) -> list:
    """The values that a text may stand for in the bank; the first is the one that it looks like."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        word = text.strip().lower()
        if word in ("true", "false") and "boolean" in (stored := kinds(field)) and "string" not in stored:
            raise ValueError(f"`--where` {condition!r}: write {field}{operator}{word}.") from None
        return [text]
    if value is None:
        exists = operator == "!="
        raise ValueError(
            f"`--where` {condition!r}: no value equals null; items {'with' if exists else 'without'} the field are "
            f"found by '{json.dumps({field: {'$exists': exists}})}'."
        )
    if isinstance(value, (list, dict)):
        raise ValueError(f"`--where` {condition!r}: lists and objects can be given in a filter as JSON only.")
    if isinstance(value, str):
        return [value]
    stored = kinds(field)
    fitting = [
        each
        for each, kind in ((value, "boolean" if isinstance(value, bool) else "number"), (text, "string"))
        if kind in stored
    ]
    return fitting or [value]


def _in_order(field: str, operator: str, values: list) -> object:
    """The value of `>`, `>=`, `<` or `<=`: a number, if the bank has numbers there."""
    if isinstance(values[0], bool):
        raise ValueError(f"`--where` compares numbers and texts by {operator}, got {values[0]!r}.")
    if isinstance(values[0], str) and _looks_like_number(values[0]):
        from transformers.utils import logging  # only now: it makes `comem --help` slow

        logging.get_logger(__name__).warning(
            f"The field {field!r} holds strings, so `{operator}` compares them letter by letter: '9' comes after '10'."
        )
    return values[0]


def _looks_like_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text) is not None


def _refuse_constant(name: str):
    raise ValueError(f"{name} is no JSON value")
