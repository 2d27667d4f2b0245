"""Options in messages, as the caller writes them: `overwrite=True` in Python, `--overwrite` on the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


_as_words: ContextVar[bool] = ContextVar("options_as_words", default=False)


def option(name: str, value: object = None) -> str:
    """Name an option for a message, in backticks.

    Args:
        name (`str`): Its name in Python, such as `"text_column"`.
        value (`object`, *optional*): The value to give; without one, the option alone is named.
    """
    if _as_words.get():
        word = f"--{name.replace('_', '-')}"
        return f"`{word}`" if value is None or value is True else f"`{word} {value}`"
    return f"`{name}=`" if value is None else f"`{name}={value!r}`"


@contextmanager
def options_as_words() -> Iterator[None]:
    """Have [`option`] write options as the command line does, inside a `with` statement and in this thread."""
    token = _as_words.set(True)
    try:
        yield
    finally:
        _as_words.reset(token)
