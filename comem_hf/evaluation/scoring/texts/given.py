"""Texts as they were given: refused if they are none."""

from collections.abc import Iterable
from typing import Any


def text_of(value: Any, name: str) -> str:
    """Return a text, and refuse everything else.

    Evaluators crash on a prediction that is `null` or a number, each in its own way; here the message is the same.

    Args:
        value (`Any`): What should be a text.
        name (`str`): What it is, for the message.

    Returns:
        `str`: `value`.

    Raises:
        `ValueError`: If `value` is no text.
    """
    if not isinstance(value, str):
        raise ValueError(f"A {name} must be a text, got {value!r}; write an empty text where there is none.")
    return value


def texts_of(values: Iterable[Any] | None, name: str) -> tuple[str, ...]:
    """Return the texts of a list that has at least one.

    Args:
        values (`Iterable`): What should be texts. The letters of a single text are texts, too: so evaluators read it.
        name (`str`): What each is, for the message.

    Returns:
        `tuple[str, ...]`: The texts, in their order.

    Raises:
        `ValueError`: If there are none, or one is no text.
    """
    found = tuple(text_of(value, name) for value in values or ())
    if not found:
        raise ValueError(f"There is no {name} to compare the answer with; a question needs at least one.")
    return found
