"""Checks of configuration fields, with messages that name the field and the value."""

from typing import Any


def with_defaults(field: str, values: dict[str, Any] | None, defaults: dict[str, Any]) -> dict[str, Any]:
    """Fill up a dictionary with defaults; raise a `ValueError` for keys that these do not have."""
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ValueError(f"`{field}` must be a dictionary or None, got {values!r}.")
    unknown = sorted(set(values) - set(defaults), key=str)
    if unknown:
        raise ValueError(f"`{field}` has unknown keys {unknown}; known are {sorted(defaults)}.")
    return {**defaults, **values}


def check_positive(field: str, value: Any):
    """Raise a `ValueError` if a value is no positive integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"`{field}` must be a positive integer, got {value!r}.")


def check_not_negative(field: str, value: Any):
    """Raise a `ValueError` if a value is neither 0 nor a positive integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"`{field}` must be 0 or a positive integer, got {value!r}.")


def is_number(value: Any) -> bool:
    """Whether a value is an integer or a float, and not a truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_number(field: str, value: Any):
    """Raise a `ValueError` if a value is no finite number from 0 on."""
    if not is_number(value) or not 0 <= value < float("inf"):
        raise ValueError(f"`{field}` must be a number from 0 on, got {value!r}.")


def check_choice(field: str, value: Any, choices: tuple[str, ...]):
    """Raise a `ValueError` if a value is none of the choices."""
    if value not in choices:
        raise ValueError(f"`{field}` must be one of {list(choices)}, got {value!r}.")


def check_layers(field: str, value: Any, most: int):
    """Raise a `ValueError` if a value is neither `"last"`, `"all"` nor a list of different layers from 0 to `most`."""
    if value in ("last", "all"):
        return
    numbers = value if isinstance(value, list | tuple) else []
    known = all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= most for number in numbers)
    if not numbers or not known or len(set(numbers)) < len(numbers):
        raise ValueError(
            f"`{field}` must be 'last', 'all' or a list of different layers from 0 (the embeddings) to {most}, got "
            f"{value!r}."
        )


def check_at_most(field: str, value: Any, most: int, meaning: str):
    """Raise a `ValueError` if a value is no integer from 1 to `most`, which is what `meaning` says."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"`{field}` must be a number from 1 to {most}, {meaning}, got {value!r}.")


__all__ = [
    "check_at_most",
    "check_choice",
    "check_layers",
    "check_not_negative",
    "check_number",
    "check_positive",
    "is_number",
    "with_defaults",
]
