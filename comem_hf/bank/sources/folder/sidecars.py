"""Texts beside a picture: `.txt`, and the `.json` of img2dataset."""

import json
from pathlib import Path
from typing import Any

from comem_hf.bank.sources.rows.text_of_row import TEXT_NAMES, take_text

from .files import FolderFiles


class Sidecars:
    """Finds and reads the files that have the name of a picture and another ending, in upper or lower case.

    Args:
        files ([`FolderFiles`]): The files of the folder.
    """

    def __init__(self, files: FolderFiles):
        self._paths = files.sidecars
        self._reasons = dict.fromkeys(files.sidecars.values(), "there is no picture of this name beside it")

    def read(self, picture: Path) -> tuple[str | None, Any, dict[str, Any]]:
        """Text, id and further fields of a picture: those of its `.json`, but the text of its `.txt` where it has one.

        A `.json` without a text under one of [`TEXT_NAMES`] is not used: other programs keep other things in files of
        that name. Of several pictures that share one, the first has its `id`.

        Raises:
            ValueError: If one cannot be read.
        """
        text, item_id, fields = None, None, {}
        json_path, text_path = self._of(picture)
        if json_path:
            is_first = json_path in self._reasons
            self._reasons.pop(json_path, None)  # if it cannot be read, the reason of the picture says so
            fields = _read_json(json_path)
            text = take_text(fields)
            if not isinstance(text, str):
                self._reasons[json_path] = f"it has no text under {', '.join(TEXT_NAMES)}"
                text, fields = None, {}
            elif is_first:
                item_id = fields.pop("id", None)
        if text_path:
            self._reasons.pop(text_path, None)
            text = _read(text_path).strip() or text
        return text, item_id, fields

    def pass_over(self, picture: Path, reason: str) -> None:
        """Note why the files of a picture are not read; what another picture of that name has used is used."""
        for path in self._of(picture):
            if path in self._reasons:
                self._reasons[path] = reason

    def _of(self, picture: Path) -> list[Path | None]:
        return [self._paths.get((picture.with_suffix(""), suffix)) for suffix in (".json", ".txt")]

    def unused(self) -> dict[Path, str]:
        """The files that no picture has used so far, and why."""
        return dict(self._reasons)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows puts a mark before the text
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read its caption {path.name!r}: {error}.") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(_read(path))
    except (RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"cannot read its caption {path.name!r}: {error}.") from error
    return fields if isinstance(fields, dict) else {}
