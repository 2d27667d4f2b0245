"""Which column of a row is the picture, the text and the id: named, or found by its name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from transformers.utils import logging

from comem_hf.bank.format.record import FILE_NAME
from comem_hf.files.option_names import option
from comem_hf.files.tables.table import Table, no_column

from .plain_values import is_missing
from .text_of_row import is_text_name, take_text


logger = logging.get_logger(__name__)

# In these orders, upper and lower case alike.
IMAGE_NAMES = ("image", "img", "picture", "photo", "image_path", "image_file", FILE_NAME)
ID_NAMES = ("id",)
_LOOKED_AT = 100  # rows of a file in which each row has its own fields


@dataclass(frozen=True)
class Columns:
    """Names of the columns that have a meaning; the others are metadata.

    Args:
        image, text, id (`str`, *optional*): The columns; found by their names, row by row, if not given: that of the
            picture among [`IMAGE_NAMES`], that of the id among [`ID_NAMES`], and for the text see [`take_text`].
    """

    image: str | None = None
    text: str | None = None
    id: str | None = None

    def are_in(self, table: Table) -> "Columns":
        """Check these columns against a table, and find those of picture and id that are not given.

        Raises:
            ValueError: If the table has no such column, or neither a picture nor a text in any column.
        """
        name = table.name[:1].upper() + table.name[1:]
        if table.columns is None:
            self._check_first_rows(table, name)
            return self
        there = table.columns
        for given in filter(None, (self.image, self.text, self.id)):
            if given not in there:
                raise no_column(name, given, there)
        found = replace(self, image=self.image or named(IMAGE_NAMES, there), id=self.id or named(ID_NAMES, there))
        if found.image is None and found.text is None and not any(map(is_text_name, there)):
            raise nothing_found(name, there)
        if found.image is None:
            logger.warning(
                f"{name} has no column that looks like a picture, so its items have texts alone; its columns are "
                f"{', '.join(map(str, there))}. {option('image_column')} names one."
            )
        return found

    def hold_text(self, table: Table) -> set[str]:
        """Those columns of a table whose values are text, whatever they look like."""
        there = table.columns or ()
        held = {self.image, self.text, self.id or named(ID_NAMES, there), FILE_NAME}
        return {name for name in there if name in held or is_text_name(name)}

    def _check_first_rows(self, table: Table, name: str) -> None:
        wanted = [given for given in (self.image, self.text, self.id) if given]
        seen: dict[str, None] = {}
        for _, (_, row) in zip(range(_LOOKED_AT if wanted else 0), table.read(()), strict=False):
            seen.update(dict.fromkeys(row if isinstance(row, dict) else ()))
            wanted = [given for given in wanted if given not in seen]
            if not wanted:
                return
        if wanted and seen:
            raise no_column(name, wanted[0], seen)

    def take_id(self, row: dict[Any, Any]) -> Any:
        """Take the id out of a row."""
        _, value = _take(row, self.id, ID_NAMES)
        return value

    def take_image(self, row: dict[Any, Any]) -> tuple[str, Any]:
        """Take the picture out of a row; return its column, too. A `file_name` stays, for the metadata."""
        name, value = _take(row, self.image, IMAGE_NAMES)
        if name == FILE_NAME:
            row[FILE_NAME] = value
            value = value if isinstance(value, str) else None
        return name, value

    def take_text(self, row: dict[Any, Any]) -> Any:
        """Take the text out of a row, see [`take_text`]."""
        return take_text(row, self.text)


def nothing_found(name: str, there: Collection[Any]) -> ValueError:
    """The error for a table in which nothing looks like an image or a text."""
    return ValueError(
        f"No column of {name[:1].lower() + name[1:]} looks like an image or a text ({', '.join(map(str, there))}); "
        f"name them with {option('image_column')} and {option('text_column')}."
    )


def named(names: Collection[str], there: Collection[Any]) -> str | None:
    """The first of these names that is there, in upper or lower case; `None` if none is."""
    lower = {name.lower(): name for name in reversed(list(there)) if isinstance(name, str)}
    return next((name if name in there else lower[name] for name in names if name in lower), None)


def _take(row: dict[Any, Any], given: str | None, names: Collection[str]) -> tuple[str, Any]:
    if given is not None:
        return given, row.pop(given, None)
    filled: Mapping[Any, Any] = {name: value for name, value in row.items() if not is_missing(value)}
    name = named(names, filled) or named(names, row) or names[0]
    return name, row.pop(name, None)
