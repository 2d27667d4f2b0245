"""Data sets as the library `datasets` has them: their splits, their folders, and which files those on the Hub name."""

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from .option_names import option


HUB_PREFIX = "hf://datasets/"
_SAVED = ("dataset_dict.json", "dataset_info.json")  # as `save_to_disk` writes them
_ARCHIVES = ("zip", "tar", "gzip", "bz2", "xz", "lz4", "zstd")


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((folder / name).is_file() for name in _SAVED)


def choose_split(splits: Mapping[str, Any], split: str | None, name: str) -> Any:
    """Return a split of a data set.

    Args:
        splits (`Mapping`): The splits by their names, as a `DatasetDict` is one.
        split (`str`, *optional*): The name; if it is not given, `"train"`, or the only one that there is.
        name (`str`): What messages call the data set.

    Raises:
        ValueError: If there is no such split, or several and none is named.
    """
    if split is None:
        split = "train" if "train" in splits else next(iter(splits)) if len(splits) == 1 else None
    if split not in splits:
        given = f"give {option('split')}" if split is None else f"got {option('split', split)}"
        raise ValueError(f"{name} has the splits {', '.join(splits)}; {given}.")
    return splits[split]


def refuse_folder_in_its_place(repository: str) -> None:
    """Refuse a data set on the Hub where a folder has its name, which `datasets` would read instead."""
    if Path(repository).exists():
        raise ValueError(
            f"{HUB_PREFIX}{repository} cannot be read where a folder {repository!r} exists: change to another folder."
        )


def refuse_other_files(repository: str, builder: Any) -> None:
    """Refuse a data set on the Hub that names files outside itself: before version 5, `datasets` reads any file.

    Args:
        repository (`str`): Its id.
        builder (`datasets.DatasetBuilder`): What `datasets` makes of it.
    """
    for address in chain.from_iterable((builder.config.data_files or {}).values()):
        if not is_file_of(repository, address):
            raise ValueError(f"The data set {repository!r} is refused: it names {address!r}, a file outside it.")


def is_file_of(repository: str, address: str) -> bool:
    """Whether an address is that of a file of a Hub data set, or of one in an archive there (`zip://...::hf://...`).

    Args:
        repository (`str`): Id of the data set.
        address (`str`): A path, or an address of any kind, as somebody wrote it.
    """
    *inner, file = address.split("::")
    return (
        re.fullmatch(rf"hf://datasets/{re.escape(repository)}(@[^/]+)?/.+", file) is not None
        and all(each.partition("://")[0] in _ARCHIVES for each in inner)
        and ".." not in address.split("/")
    )
