"""Training data of any source, opened by one function."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from comem_hf.training.data.sources.open_source import open_source

from .dataset import MemoryDataset
from .stream import MemoryStream


def open_training_data(
    source: Any,
    *,
    split: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    base_dir: str | Path | None = None,
    ignore: Iterable[str] = (),
    shuffle_buffer: int = 0,
    seed: int = 42,
) -> MemoryDataset | MemoryStream:
    """Open training data: files, folders, data sets on the Hub, objects of `datasets`, or rows.

    Args:
        source (`str`, `Path`, `datasets` object or `Iterable[dict]`): A `.jsonl`, `.json` or `.parquet` file; a folder
            that `save_to_disk` has written or `datasets.load_dataset` takes; the id of a data set on the Hub
            (`USER/NAME` or `hf://datasets/USER/NAME@REVISION`); a `Dataset`, `IterableDataset` or a dictionary of
            splits; or rows, as in [`TrainingSample.from_row`].
        split (`str`, *optional*): Split of a data set; by default `train`, or the only one.
        subset (`str`, *optional*): Configuration of a data set that has several.
        revision (`str`, *optional*): Branch, tag or commit of a data set on the Hub.
        streaming (`bool`, *optional*, defaults to `False`): Read the rows as they come, with no copy on this machine.
        base_dir (`str` or `Path`, *optional*): The folder that relative image paths start from; by default that of
            the file, or the folder itself. Rows of a data set on the Hub may name files only with a `base_dir`.
        ignore (`Iterable[str]`, *optional*): Keys of rows that are not read, whatever their names.
        shuffle_buffer (`int`, *optional*, defaults to 0): For streams, see [`MemoryStream`].
        seed (`int`, *optional*, defaults to 42): For streams, see [`MemoryStream`].

    Returns:
        `MemoryDataset` or, if it is streamed, `MemoryStream`: The samples.

    Raises:
        ValueError: If there is no such source or split, it cannot be read, it has no row, a row is not valid, or too
            many rows name missing pictures. The rows of a stream are checked as they come.
    """
    found = open_source(source, split=split, subset=subset, revision=revision, streaming=streaming, base_dir=base_dir)
    if streaming or not hasattr(found.rows, "__len__"):
        return MemoryStream(found, ignore=ignore, shuffle_buffer=shuffle_buffer, seed=seed)
    return MemoryDataset.of(found, ignore)
