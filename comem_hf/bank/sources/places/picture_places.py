"""Where the pictures are that rows name: files, the rows themselves, or the web."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from comem_hf.bank.sources.rows.plain_values import is_missing
from comem_hf.files.option_names import option
from comem_hf.modeling.picture_comem import is_inline, is_picture, picture_size, picture_source, shown

from .web_pictures import fetch_picture


def with_slashes(folder: Path, name: str) -> str:
    """The name of a file in a folder with slashes, if there is none of the name that Windows may have written."""
    return name.replace("\\", "/") if "\\" in name and not os.path.lexists(folder / name) else name


class PicturePlaces:
    """Finds pictures by what a row has for them: a path, `file://`, a data URL, base64, an address on the web.

    Args:
        folder (`Path`): Folder that relative paths start from.
        urls (`bool`): Whether addresses on the web are fetched; see [`fetch_picture`].
    """

    def __init__(self, folder: Path, urls: bool = False):
        self.folder = folder
        self.urls = urls

    def find(self, value: Any) -> Any:
        """Return a picture in a form that [`load_image`] takes; `None` if the row has none.

        Raises:
            ValueError: If there is no such file, or the value is nothing of these; the message begins with a verb.
        """
        if isinstance(value, str) and not value.strip() or is_missing(value):
            return None
        if isinstance(value, dict) and value.get("bytes") is None and isinstance(value.get("path"), str):
            value = value["path"]
        if isinstance(value, str):
            value = value.strip()
            scheme = value[:8].lower()
            if scheme.startswith(("http://", "https://")):
                return self._fetch(value)
            if scheme.startswith("data:"):
                return _inline(value)
            if scheme.startswith("file:"):
                value = path_of_file_url(value)
        if isinstance(value, (str, os.PathLike)):
            path = Path(self.folder, with_slashes(self.folder, os.fspath(value)))
            if os.path.isfile(path):
                return path
            if isinstance(value, str) and is_inline(value):
                return _inline(value)
            raise ValueError(self._missing(value, path))
        if not is_picture(value):
            raise ValueError(f"must be a path or a picture in base64, got {value!r:.80}.")
        return value

    def _fetch(self, url: str) -> bytes:
        if not self.urls:
            raise ValueError(
                f"is an address on the web, {shown(url)}, and nothing is fetched: download the pictures, or allow it "
                f"with {option('urls', True)}."
            )
        return fetch_picture(url)

    def _missing(self, value: Any, picture: Path) -> str:
        name = os.fspath(value)
        if "://" in name:
            return f"is an address of a kind that is not read, {shown(name)}: give the path of a file."
        if os.path.isdir(picture):
            return f"names {shown(str(picture))}, which is a folder."
        other = "" if os.path.isabs(name) else f"; {option('images')} names another folder that paths start from"
        return f"names {shown(str(picture))}, and there is no such file{other}."


def path_of_file_url(url: str) -> str:
    """The path of a `file://` address of this machine.

    Raises:
        ValueError: If it is one of another machine; the message begins with a verb.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"is a file of another machine, {shown(url)}: copy it, and give its path.")
    return url2pathname(parts.path) if os.name == "nt" else unquote(parts.path)


def _inline(value: str) -> bytes:
    """The content of a data URL or a base64 string, of which the beginning is looked at."""
    if value[:5].lower() == "data:":
        kind = value[5:].partition(",")[0].partition(";")[0].lower()
        if kind and not kind.startswith("image/") and kind != "application/octet-stream":
            raise ValueError(f"is a data URL of {kind!r:.80}, which is no picture.")
    try:
        content = picture_source(value, "it")
        picture_size(content, "it")
    except ValueError as error:
        raise ValueError(f"is no picture: {error}") from error
    return content
