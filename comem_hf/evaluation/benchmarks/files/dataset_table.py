"""Data sets of the library `datasets`: objects, and folders of `save_to_disk`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from comem_hf.modeling.installation_comem import how_to_install

from .picture_in_table import PictureInTable, picture_of_cell
from .rows import Row, chosen_columns


_ROWS_AT_ONCE = 128


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def split_of(source: Any, names: Sequence[str]) -> Any:
    """Return the split of a data set.

    Args:
        source (`Path`, `datasets.Dataset` or `datasets.DatasetDict`): The data set, or a folder of `save_to_disk`.
        names (`Sequence[str]`): Names that the split goes by.

    Returns:
        `datasets.Dataset`: The split; a data set without splits is returned as it is.

    Raises:
        ValueError: If it is no such data set, or has no such split.
    """
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f"Data sets need the library `datasets`: {how_to_install('eval')}.") from error
    if isinstance(source, Path):
        try:
            source = datasets.load_from_disk(str(source))
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{str(source)!r} is no whole folder of `save_to_disk` ({error}).") from error
    if isinstance(source, datasets.DatasetDict):
        found = [name for name in names if name in source]
        if not found:
            raise ValueError(f"The data set has no split {names[0]!r}; it has {sorted(source)}.")
        return source[found[0]]
    if not isinstance(source, datasets.Dataset):
        raise ValueError(
            "A benchmark is read from a folder, a `datasets.Dataset` or a `datasets.DatasetDict`, got "
            f"{type(source).__name__}; a streamed data set is to be downloaded first."
        )
    return source


class DatasetTable:
    """The rows of a `datasets.Dataset`, whose pictures stay where it has them, on disk as a rule.

    Args:
        dataset (`datasets.Dataset`): The data set.
        folder (`Path`, *optional*): Where paths of pictures begin; without it, only whole paths are found.
        picture (`str`, *optional*): The column of pictures.
    """

    def __init__(self, dataset: Any, folder: Path | None = None, picture: str | None = "image"):
        self._dataset = dataset.with_format("arrow")  # neither decoded nor transformed
        self._folder = folder
        self._picture = picture
        self.files: tuple[Path, ...] = tuple(Path(each["filename"]) for each in dataset.cache_files)
        self.notes: tuple[str, ...] = ()

    def rows(
        self, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> Iterator[tuple[Row, Path | PictureInTable | None]]:
        """Read the rows, without the pictures, and say where each picture is.

        Args:
            columns (`Sequence[str]`): The columns to read.
            optional (`Sequence[str]`, *optional*): Columns that may be missing.

        Raises:
            ValueError: If a column is missing.
        """
        there = self._dataset.column_names
        chosen = chosen_columns(there, columns, optional, self._picture, "The data set")
        for start in range(0, len(self._dataset), _ROWS_AT_ONCE):
            batch = self._dataset[start : start + _ROWS_AT_ONCE]
            for row, fields in enumerate(batch.select(chosen).to_pylist(), start=start):
                picture = None
                if self._picture:
                    cell = _cell(batch.column(self._picture)[row - start])
                    picture = picture_of_cell(cell, self._folder, self, row)
                yield Row("the data set", f"row {row + 1}", fields), picture

    def read_picture(self, row: int) -> bytes:
        """Read the encoded picture of a row, counted from 0."""
        return _cell(self._dataset[row].column(self._picture)[0])["bytes"].as_py()


def _cell(scalar: Any) -> dict[str, Any] | None:
    """A cell whose bytes are not copied yet; `None` if it is empty."""
    if not scalar.is_valid:
        return None
    if not hasattr(scalar, "keys") or not {"bytes", "path"} <= set(scalar.keys()):
        raise ValueError(f"The pictures of the data set must have `bytes` and `path`, but are {scalar.type}.")
    encoded = scalar["bytes"]
    is_there = encoded.is_valid and encoded.as_buffer().size > 0
    return {"bytes": encoded if is_there else None, "path": scalar["path"].as_py()}
