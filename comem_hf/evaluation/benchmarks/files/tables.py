"""The table of a benchmark that the Hub has as Parquet, in any of the forms that people have it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .dataset_table import DatasetTable, is_saved_dataset, split_of
from .parquet_table import ParquetTable, parquet_files


def table_of(source: Any, names: Sequence[str], picture: str | None = "image") -> ParquetTable | DatasetTable | None:
    """Return the table of a split.

    Args:
        source (`Path`, `datasets.Dataset` or `datasets.DatasetDict`): The data set; or a folder with its Parquet
            files, or one of `save_to_disk`.
        names (`Sequence[str]`): Names that the split goes by.
        picture (`str`, *optional*, defaults to `"image"`): The column of pictures; `None` if there is none.

    Returns:
        The table; `None` if the folder has no such files.

    Raises:
        ValueError: If the source is nothing of these, or has not that split.
    """
    if not isinstance(source, Path):
        return DatasetTable(split_of(source, names), picture=picture)
    if is_saved_dataset(source):
        return DatasetTable(split_of(source, names), folder=source, picture=picture)
    files = parquet_files(source, names)
    return ParquetTable(files, picture) if files else None


def no_table(source: Path, names: Sequence[str], others: str = "") -> ValueError:
    """The error for a folder in which nothing was found."""
    return ValueError(
        f"{str(source)!r} has no Parquet files of the split {names[0]!r} ({names[0]}-00000-of-00001.parquet, in it or "
        f"in data/){others}; docs/how-to/benchmarks.md lists the files of each benchmark."
    )
