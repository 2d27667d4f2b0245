"""Which files the lines of a metadata file may name."""

import os
from pathlib import Path

from comem_hf.bank.sources.places.picture_places import with_slashes


class NamedFiles:
    """Resolves the names in metadata files, which others may have written: no file from elsewhere gets into a bank.

    A name leads to a file inside the folder. A link there may lead on to another place inside the folder or, in a
    folder that `huggingface_hub` downloaded to its cache, into the cache's `blobs`, where the contents of the same
    repository lie.

    Args:
        folder (`Path`): The folder of images.
    """

    def __init__(self, folder: Path):
        self._absolute = Path(os.path.abspath(folder))
        root = folder.resolve()
        self._roots = [root, *_blobs(self._absolute), *_blobs(root)]

    def find(self, place: Path, name: object) -> Path | None:
        """The path of a named file, which need not exist; `None` if the name or a link leads out of the folder.

        Args:
            place (`Path`): Folder of the metadata file.
            name (`object`): The value of `file_name`, a path relative to that folder.
        """
        if not isinstance(name, str) or not name or "\0" in name:
            return None
        path = Path(os.path.normpath(place / with_slashes(place, name)))
        try:
            inside = Path(os.path.abspath(path)).is_relative_to(self._absolute)
            resolved = path.resolve()
        except (OSError, RuntimeError, ValueError):  # a circle of links, a name that the file system cannot have
            return None
        return path if inside and any(resolved.is_relative_to(root) for root in self._roots) else None


def _blobs(folder: Path) -> list[Path]:
    """The `blobs` of the Hub cache that a folder `.../snapshots/<commit>` (or one inside it) belongs to."""
    for commit in (folder, *folder.parents):
        blobs = commit.parent.parent / "blobs"
        # The cache's own `blobs` is a folder; a link of this name, in a folder of others, could lead anywhere.
        if (
            commit.parent.name == "snapshots"
            and "--" in blobs.parent.name
            and blobs.is_dir()
            and not blobs.is_symlink()
        ):
            return [blobs.resolve()]
    return []
