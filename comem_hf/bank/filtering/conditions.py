"""Conditions that a filter consists of, read from the `where` that a user wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .operators import OF_FIELDS, OF_FILTERS, check_operand, check_operator, is_list, plain_value


@dataclass(frozen=True)
class Condition:
    """A condition on one field.

    Args:
        field (`str`): Name of the field; dots lead into nested objects.
        operator (`str`): One of `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin`, `$exists` and `$contains`.
        operand: A plain JSON value.
    """

    field: str
    operator: str
    operand: object


@dataclass(frozen=True)
class Group:
    """Several conditions in one.

    Args:
        operator (`str`): `"$and"`, `"$or"` or `"$not"`; the last has one part.
        parts (`tuple[Condition | Group, ...]`): The conditions.
    """

    operator: str
    parts: tuple["Condition | Group", ...]

    def conditions(self) -> Iterator[Condition]:
        """Iterate over the conditions on fields, at any depth."""
        for part in self.parts:
            if isinstance(part, Condition):
                yield part
            else:
                yield from part.conditions()


def parse_where(where: Mapping[str, object]) -> Group:
    """Read a filter.

    Args:
        where (`Mapping[str, object]`): Names of fields with what they must be: a value, a list of values of which any
            is good, or operators such as `{"$gte": 30, "$lt": 40}`. `$and`, `$or` and `$not` combine whole filters.

    Returns:
        `Group`: The filter, whose values are plain JSON.

    Raises:
        ValueError: If it is no filter; the message names the field or the operator.
    """
    return _parse_filter(where, "where")


def _parse_filter(where: object, at: str) -> Group:
    if not isinstance(where, Mapping) or not where or not all(isinstance(name, str) for name in where):
        raise ValueError(f"`{at}` must map names of metadata fields to values, got {where!r}.")
    parts = []
    for name, value in where.items():
        if name.startswith("$"):
            check_operator(name, at, OF_FILTERS)
            parts.append(_parse_group(name, value, f"{at}[{name!r}]"))
        else:
            parts.append(_parse_field(name, value, f"{at}[{name!r}]"))
    return Group("$and", tuple(parts))


def _parse_group(operator: str, value: object, at: str) -> Group:
    if operator == "$not":
        return Group("$not", (_parse_filter(value, at),))
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(f"`{at}` must be a list of filters, got {value!r}.")
    return Group(operator, tuple(_parse_filter(part, f"{at}[{place}]") for place, part in enumerate(value)))


def _parse_field(field: str, value: object, at: str) -> Condition | Group:
    if not isinstance(value, Mapping):
        operator = "$in" if is_list(value) else "$eq"
        return Condition(field, operator, check_operand(operator, value, at))
    operators = [name for name in value if isinstance(name, str) and name.startswith("$")]
    if not value or operators and len(operators) < len(value):
        raise ValueError(
            f"`{at}` must be a value, or operators such as {{'$gte': 30}}, got {value!r}; an object to compare with "
            "is written {'$eq': {...}}."
        )
    if not operators:
        return Condition(field, "$eq", plain_value(value, at))
    parts = []
    for operator, operand in value.items():
        check_operator(operator, at, OF_FIELDS)
        if operator == "$not":
            parts.append(Group("$not", (_parse_field(field, operand, f"{at}['$not']"),)))
        else:
            parts.append(Condition(field, operator, check_operand(operator, operand, at)))
    return Group("$and", tuple(parts))
