"""Rows of all forms, told apart by their keys."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from comem_hf.modeling.memory_item import MemoryItem

from .content import place_pictures
from .items import read_items
from .keys import has_value, sort_keys
from .one_question import read_question
from .published import read_published_items
from .row import Row, fields_of
from .turns import read_turns


class ReadRow(NamedTuple):
    """What a row says."""

    messages: list[dict[str, Any]]
    images: list[Any]
    memories: list[MemoryItem]
    entity: dict[str, str]
    """Whom or what the row is about, by the key that says it: `entity`, `entity_id`."""
    unread: tuple[str, ...]
    """Keys that are carried along; those of items as `memories[].title`."""
    num_cut: int
    """How many of its texts were cut, as those of the published form are."""


class RowReader:
    """Reader of rows, with what is the same for all rows of a source.

    Args:
        base_dir (`str` or `Path`, *optional*): The folder that relative image paths start from.
        ignore (`Iterable[str]`, *optional*): Keys that are not read, whatever their names.
        takes_paths (`bool`, *optional*, defaults to `True`): Whether pictures may be files of this machine.
    """

    def __init__(self, base_dir: str | Path | None = None, ignore: Iterable[str] = (), takes_paths: bool = True):
        self.base_dir = "" if base_dir is None else str(base_dir)
        self.ignore = frozenset((ignore,) if isinstance(ignore, str) else ignore)
        self.takes_paths = takes_paths
        self._files: dict[str, Path] = {}

    def __call__(self, values: Any, name: str, files_exist: bool = False) -> ReadRow:
        """Read a row of any form.

        Args:
            values (`Mapping`): The row.
            name (`str`): Its name in error messages.
            files_exist (`bool`, *optional*, defaults to `False`): Do not look whether files are there, as was done
                before.

        Returns:
            [`ReadRow`]: What it says; pictures are not opened.

        Raises:
            MissingPictureError: If a file is not there.
            ValueError: If a field is missing, empty, of the wrong kind or nearly right.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{name}: a row must be an object with named fields, got {type(values).__name__}.")
        keys = sort_keys(tuple(values), self.ignore)
        for key, meant in keys.refused.items():
            if has_value(values[key]):
                raise ValueError(
                    f"{name}: `{key}` is no key of a row; what it looks like is {meant}: rename it, or have it left "
                    f"unread by `ignore=[{key!r}]` (`--ignore {key}`)."
                )
        fields = fields_of(values, keys.names, name)
        row = Row(fields, name, self.base_dir, self.takes_paths, files_exist, self._files, self.ignore)
        images = row.pictures(fields.get("image"), "image")
        found: list[MemoryItem] = []
        key = _form(row)
        messages = read_question(row) if key == "question" else read_turns(row, key, found)
        messages, images = place_pictures(row, key, messages, images)
        memories = read_published_items(row) if row.is_published else read_items(row)
        entity = {key: str(row.fields[key]) for key in ("entity", "entity_id") if key in row.fields}
        return ReadRow(messages, images, memories + found, entity, (*keys.unread, *row.unread), row.num_cut)


def _form(row: Row) -> str:
    forms = [key for key in ("messages", "conversations") if key in row.fields]
    texts = [key for key in ("question", "answer") if has_value(row.fields.get(key))]
    if len(forms) + bool(texts) > 1:
        given = " and ".join(f"`{key}`" for key in [*forms, *texts])
        raise ValueError(
            f"{row.name}: {given} are two forms of a conversation; leave one out, or name it in `ignore`."
        )
    return forms[0] if forms else "question"
