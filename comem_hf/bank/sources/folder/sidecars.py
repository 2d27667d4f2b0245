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

    def read(self, picture: Path) -> tuple[str | None, dict[str, Any]]:
        """Text and further fields of a picture: those of its `.json`, but the text of its `.txt` where there is one.

        A `.json` without a text under one of [`TEXT_NAMES`] is not used: other programs keep other things in files of
        that name.

        Raises:
            ValueError: If one cannot be read.
        """
        text, fields = None, {}
        key = picture.with_suffix("")
        if path := self._paths.get((key, ".json")):
            fields = _read_json(path)
            text = take_text(fields)
            if isinstance(text, str):
                self._reasons.pop(path, None)  # another picture of that name may have used it already
            else:
                self._reasons[path] = f"it has no text under {', '.join(TEXT_NAMES)}"
                text, fields = None, {}
        if path := self._paths.get((key, ".txt")):
            self._reasons.pop(path, None)
            text = _read(path).strip() or text
        return text, fields

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
