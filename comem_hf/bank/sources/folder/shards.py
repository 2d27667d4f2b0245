"""Folders that hold one data set in several files of one kind."""

from pathlib import Path

from comem_hf.bank.sources.files.table_files import CSV_SUFFIXES
from comem_hf.bank.sources.files.web_dataset import TAR_SUFFIXES
from comem_hf.files.tables.opened import suffix_of

from .files import FolderFiles


def shards_of(folder: Path) -> list[Path]:
    """The `.tar` or `.parquet` files of a folder that has no pictures, in the order of their names.

    A `.parquet` file that has the name of a `.tar` file is img2dataset's list of what is in there, and is left out.

    Raises:
        ValueError: If it has others of both kinds, or CSV files, too: which is the data set, the caller must say.
    """
    files = FolderFiles.of(folder)
    if files.pictures or files.metadata:
        return []
    tars = [path for path in files.others if suffix_of(path) in TAR_SUFFIXES]
    tables = [path for path in files.others if suffix_of(path) == ".parquet"]
    lists = {path.with_name(path.name.removesuffix(suffix_of(path)) + ".parquet") for path in tars}
    others = [path for path in files.others if suffix_of(path) in CSV_SUFFIXES]
    if tars:
        others += [path for path in tables if path not in lists]
    if others and (tars or tables):
        raise ValueError(
            f"The folder {str(folder)!r} holds {(tars or tables)[0].name} and {others[0].name}, two kinds of files: "
            "give one of them, or a folder with files of one kind."
        )
    return tars or tables


def refuse_mixed(folder: Path) -> None:
    """Refuse a folder of `save_to_disk` that holds pictures or metadata files of its own, too."""
    files = FolderFiles.of(folder)
    if other := [*files.metadata, *files.pictures]:
        raise ValueError(
            f"The folder {str(folder)!r} is one of `save_to_disk`, but it holds {other[0].name!r}, too: give a folder "
            "with one of them."
        )
