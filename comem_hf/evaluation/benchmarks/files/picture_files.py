"""Pictures that lie in folders: which of them are there."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from .rows import json_lines


_USUAL = (".jpg", ".JPEG", ".jpeg", ".png", ".JPG")


def named_picture(folders: Iterable[Path], name: str) -> Path | None:
    """Return the first file of a name in some folders, whichever way its accents are encoded; `None` if there is none.

    Args:
        folders (`Iterable[Path]`): Where it may lie.
        name (`str`): Name of the file; one with `..` or of another place is not looked for.
    """
    if not name or os.path.isabs(name) or ".." in Path(name).parts:
        return None
    for folder in folders:
        for form in dict.fromkeys((name, *(unicodedata.normalize(kind, name) for kind in ("NFC", "NFD")))):
            if (path := folder / form).is_file():
                return path
    return None


def oven_pictures(folders: Iterable[Path], image_ids: Iterable[str]) -> dict[str, Path]:
    """Find pictures of OVEN, which InfoSeek uses, too: `oven_images/04/oven_04925731.jpg`, with any ending.

    Usual endings are tried first, then each folder is listed once, then `id2image.jsonl` is read: millions of names
    are never in memory.

    Args:
        folders (`Iterable[Path]`): Folders that may have `oven_images` and `id2image.jsonl`.
        image_ids (`Iterable[str]`): The pictures that are wanted.

    Returns:
        `dict[str, Path]`: Those that were found.
    """
    found: dict[str, Path] = {}
    missing = dict.fromkeys(image_ids)
    for folder in folders:
        for step in (_of_usual_endings, _of_any_ending, _of_mapping):
            if missing:
                found |= step(folder, missing)
                missing = {image_id: None for image_id in missing if image_id not in found}
    return found


def _room(folder: Path, image_id: str) -> Path:
    digits = "".join(filter(str.isdigit, image_id))
    return folder / "oven_images" / digits[:2]


def _of_usual_endings(folder: Path, wanted: Iterable[str]) -> dict[str, Path]:
    found = {}
    if not (folder / "oven_images").is_dir():
        return found
    for image_id in wanted:
        if os.path.basename(image_id) != image_id:
            continue
        stem = os.path.join(_room(folder, image_id), image_id)
        path = next((stem + ending for ending in _USUAL if os.path.isfile(stem + ending)), None)
        if path is not None:
            found[image_id] = Path(path)
    return found


def _of_any_ending(folder: Path, wanted: Iterable[str]) -> dict[str, Path]:
    rooms = defaultdict(set)
    for image_id in wanted:
        rooms[_room(folder, image_id)].add(image_id)
    found = {}
    for room, ids in rooms.items():
        if not room.is_dir():
            continue
        with os.scandir(room) as entries:
            for entry in entries:
                stem = os.path.splitext(entry.name)[0]
                if stem in ids and entry.is_file():
                    found[stem] = room / entry.name
    return found


def _of_mapping(folder: Path, wanted: Iterable[str]) -> dict[str, Path]:
    mapping, found = folder / "id2image.jsonl", {}
    if not mapping.is_file():
        return found
    wanted = set(wanted)
    for row in json_lines(mapping):
        if row.fields.get("image_id") in wanted:
            path = folder / row.filled("image_path")
            if path.is_file():
                found[row.fields["image_id"]] = path
    return found
