"""The text of a row: the one list of names that all sources look for."""

from typing import Any

from .plain_values import is_missing


# In this order. Upper and lower case are alike: LAION's tables have `TEXT`, exports of spreadsheets `Caption`.
TEXT_NAMES = ("text", "caption", "description", "txt", "title", "prompt")


def take_text(row: dict[Any, Any], column: str | None = None) -> Any:
    """Take the text out of a row; the other fields stay, for the metadata.

    It is the value of the first of [`TEXT_NAMES`] that is there and not empty. A list of strings, as data sets with
    several captions per picture have it, becomes lines. A number or an object under another name than `text` is no
    text.

    Args:
        row (`dict`): The row; the text and empty fields of these names before it are removed.
        column (`str`, *optional*): The column of the text, if it is known; the others are then left as they are.

    Returns:
        The text; `None` if the row has none. What is under `text` is returned as it is, whatever its type.
    """
    if column is not None:
        value = _lines(row.pop(column, None))
        return None if isinstance(value, str) and not value.strip() else value
    keys = {key.lower(): key for key in reversed(row) if isinstance(key, str)}
    for name in TEXT_NAMES:
        key = name if name in row else keys.get(name)
        if key is None:
            continue
        value = _lines(row[key])
        if is_missing(value) or isinstance(value, str) and not value.strip():
            del row[key]
        elif isinstance(value, str) or name == "text":
            del row[key]
            return value
    return None


def _lines(value: Any) -> Any:
    """The value; a list of strings as lines."""
    is_list = isinstance(value, (list, tuple)) and value and all(isinstance(line, str) for line in value)
    return "\n".join(value) if is_list else value


def is_text_name(name: object) -> bool:
    """Whether [`take_text`] looks at a field of this name."""
    return isinstance(name, str) and name.lower() in TEXT_NAMES
