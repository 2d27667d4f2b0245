"""The files of a folder of images, sorted into pictures, metadata files, texts beside pictures, and the rest."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from comem_hf.bank.format.config import CONFIG_NAME
from comem_hf.bank.sources.places.suffixes import picture_suffixes
from comem_hf.files.work_folder import work_path


_UNFINISHED = work_path(Path("bank")).suffix
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SIDECAR_SUFFIXES = (".txt", ".json")


@dataclass
class FolderFiles:
    """The files of a folder and its subfolders, each list in the order of their names.

    Args:
        pictures (`list[Path]`): Files with the ending of a picture.
        metadata (`list[Path]`): The Hub's metadata files, their names in upper or lower case.
        sidecars (`dict[tuple[Path, str], Path]`): Texts that may belong to a picture, by their path without ending,
            and their ending in lower case.
        others (`list[Path]`): All other files, which are not read.
        problems (`list[tuple[Path, str]]`): What cannot be looked at, and why.
    """

    pictures: list[Path] = field(default_factory=list)
    metadata: list[Path] = field(default_factory=list)
    sidecars: dict[tuple[Path, str], Path] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    problems: list[tuple[Path, str]] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "FolderFiles":
        """Look through a folder; links to folders are not followed, and nothing hidden is looked at."""
        found = cls()
        for path in sorted(_visible(folder, found.problems)):
            suffix = path.suffix.lower()
            if path.is_dir():
                found.problems.append((path, "it is a link to a folder, and such links are not followed"))
            elif not path.is_file():
                missing = path.is_symlink() and not path.exists()
                reason = "it is a link to a file that does not exist" if missing else "it is no regular file"
                found.problems.append((path, reason))
            elif path.name.lower() in METADATA_NAMES:
                found.metadata.append(path)
            elif suffix in picture_suffixes():
                found.pictures.append(path)
            elif suffix in SIDECAR_SUFFIXES:
                found.sidecars.setdefault((path.with_suffix(""), suffix), path)
            else:
                found.others.append(path)
        return found


def _visible(folder: Path, problems: list[tuple[Path, str]]) -> Iterator[Path]:
    """Files, and links to folders, without hidden ones, macOS's `__MACOSX`, and banks that are built in the folder."""

    def note(error: OSError) -> None:
        problems.append((Path(error.filename), f"its files cannot be listed: {error.strerror}"))

    for place, folders, files in os.walk(folder, onerror=note):
        if CONFIG_NAME in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if _is_visible(name) and not name.endswith(_UNFINISHED)]
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in (*files, *links) if _is_visible(name))


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"
