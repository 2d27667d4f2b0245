"""The fields of one row, and what their values must be."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comem_hf.modeling.picture_comem import is_picture, picture_of_row, shown

from .keys import has_value


PUBLISHED_MAX_CHARACTERS = 5000  # the published training cuts every message at this length
MOST_FILES = 1_000_000  # remembered
WEB = ("http://", "https://")
FILE = "file://"


class MissingPictureError(ValueError):
    """A picture that a row names is not there; the row is skipped and counted, where there are enough others."""


@dataclass(slots=True)
class Row:
    """A row by the names of [`READ`].

    Args:
        fields (`dict[str, Any]`): Its fields that have a value.
        name (`str`): Its name in error messages.
        base_dir (`str`): The folder that relative paths start from; "" for the current one.
        takes_paths (`bool`): Whether its pictures may be files of this machine.
        files_exist (`bool`): Whether it is known that these are there.
        files (`dict[str, Path]`): Those that were found, by what rows call them: items stand in many rows.
        ignored (`frozenset[str]`, *optional*): Keys that are not read, whatever their names.
        unread (`dict[str, None]`, *optional*): Keys of its items that nobody reads, in the order of the row.
        num_cut (`int`, *optional*): How many of its texts were cut.
    """

    fields: dict[str, Any]
    name: str
    base_dir: str
    takes_paths: bool
    files_exist: bool
    files: dict[str, Path]
    ignored: frozenset[str] = frozenset()
    unread: dict[str, None] = field(default_factory=dict)
    num_cut: int = 0

    @property
    def is_published(self) -> bool:
        return "knowledge_image" in self.fields or "knowledge_conversations" in self.fields

    def pictures(self, value: Any, where: str) -> list[Any]:
        """Check the pictures of a field, which holds one, several or none, as [`Row.picture`] does."""
        if not isinstance(value, list | tuple):
            return [] if value is None else [self.picture(value, where)]
        for i, each in enumerate(value):
            if each is None:
                raise self.error(f"{where}[{i}]", "is null; leave it out of the list")
        return [self.picture(each, f"{where}[{i}]") for i, each in enumerate(value)]

    def picture(self, value: Any, where: str) -> Any:
        """Check one picture and return it in a form for `load_image`; it is not opened."""
        if type(value) is str and (known := self.files.get(value)) is not None:
            return known
        if not is_picture(value) or isinstance(value, str) and not value:
            raise self.error(where, f"must be a path, an image or null, got {short(value)}")
        value = _without_scheme(value)
        if isinstance(value, str) and value.startswith(WEB):
            raise self.error(where, f"is an address on the web, and nothing is fetched here: {shown(value)}")
        image = picture_of_row(value, self.base_dir)
        if not isinstance(image, Path):
            return image
        if not self.takes_paths:
            raise self.error(
                where,
                f"names a file ({shown(str(value))}), but rows that others have written must hold their pictures "
                "themselves: give `base_dir`, the folder of the files, if they are yours",
            )
        if not self.files_exist and not os.path.isfile(image):
            raise MissingPictureError(f"{self.name}: `{where}` names no file: {shown(str(image))}.")
        if isinstance(value, str) and len(self.files) < MOST_FILES:
            self.files[value] = image
        return image

    def text(self, value: Any, where: str) -> str:
        """Check a text that must not be empty."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise self.error(where, f'must be a text, got the number {value}; write "{value}"')
        if not isinstance(value, str) or not value.strip():
            raise self.error(where, f"must be a text that is not empty, got {short(value)}")
        if not self.is_published or len(value) <= PUBLISHED_MAX_CHARACTERS:
            return value
        self.num_cut += 1
        return value[:PUBLISHED_MAX_CHARACTERS]

    def objects(self, key: str) -> Any:
        """Return a field that is a list of objects; tables may hold it as an object of lists."""
        value = self.fields.get(key)
        if isinstance(value, Mapping) and value and all(isinstance(each, list) for each in value.values()):
            return [dict(zip(value, each, strict=True)) for each in zip(*value.values(), strict=True)]
        return value

    def error(self, where: str, problem: str) -> ValueError:
        """Return the error that says what is wrong with a field."""
        return ValueError(f"{self.name}: `{where}` {problem}{'' if problem.endswith('?') else '.'}")


def fields_of(values: Mapping[Any, Any], names: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the fields that have a value by the keys that they stand for.

    Raises:
        ValueError: If two fields stand for the same key.
    """
    fields, given = {}, {}
    for key, stands_for in names.items():
        if not has_value(values[key]) and key != "answer" and key != "question":
            continue
        if stands_for in fields:
            raise ValueError(f"{name}: `{given[stands_for]}` and `{key}` mean the same; leave one out.")
        fields[stands_for], given[stands_for] = values[key], key
    return fields


def short(value: Any) -> str:
    """A value as messages show it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def counted(number: int, noun: str) -> str:
    """A number of things, as messages say it: "1 image", "2 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _without_scheme(value: Any) -> Any:
    """The path of an address of a file, as Qwen's own tools write it."""
    return value[len(FILE) :] if isinstance(value, str) and value.startswith(FILE) else value
