"""Fields of metadata by name: dots lead into nested objects."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from .operators import OF_FIELDS


_SHOWN = 40  # names in a message


def value_at(metadata: dict[str, Any], name: str) -> Any:
    """Return the value of a field, `None` if there is none.

    A field whose own name has dots comes before a nested one: `{"a.b": 1, "a": {"b": 2}}` has 1 at `a.b`.
    """
    if name in metadata:
        return metadata[name]
    head, dot, rest = name.partition(".")
    while dot:
        inner = metadata.get(head)
        if isinstance(inner, dict) and (value := value_at(inner, rest)) is not None:
            return value
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def values_of(metadata: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """Return the value that each item has at a field, `None` where there is none."""
    if "." in name:
        return [value_at(each, name) for each in metadata]
    return [each.get(name) for each in metadata]  # a million calls take longer than all the rest


def names_in(metadata: Iterable[dict[str, Any]]) -> set[str]:
    """Return the names of all fields, nested ones with dots."""
    names = set()
    for each in metadata:
        for name, value in each.items():
            names.add(name)
            if isinstance(value, dict):
                names.update(f"{name}.{inner}" for inner in names_in([value]))
    return names


def unknown_field(field: str, names: Collection[str]) -> str:
    """Return the sentence about a field that no item has.

    Args:
        field (`str`): The field.
        names (`Collection[str]`): The fields that items have.
    """
    if not names:
        return f"No item has the metadata field {field!r}: no item has any metadata."
    outer, _, last = field.rpartition(".")
    close = get_close_matches(field, names, 1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    operator = f"${last.removeprefix('$')}"
    if outer in names and operator in OF_FIELDS:
        hint = f"; did you mean the operator {operator!r}: {{{outer!r}: {{{operator!r}: ...}}}}?"
    shown = ", ".join(sorted(names)[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"No item has the metadata field {field!r}{hint} Items have: {shown}."
