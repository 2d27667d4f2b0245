"""Choosing the source that a name or an object stands for."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet

from comem_hf.files.data_sets import HUB_PREFIX, choose_split, is_saved

from .hub import datasets_library, open_hub
from .json_files import open_json
from .source import Source
from .tables import StreamedTableRows, TableRows


JSON = (".jsonl", ".json")


def open_source(
    source: Any,
    *,
    split: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
    streaming: bool = False,
    base_dir: str | Path | None = None,
) -> Source:
    """Open rows, nothing of which is checked yet.

    Args:
        source, split, subset, revision, streaming, base_dir: As for [`open_training_data`].

    Returns:
        [`Source`]: The rows.

    Raises:
        ValueError: If there is nothing of that name, it cannot be read, or it has other splits.
    """
    found = _open(source, split, subset, revision, streaming)
    if base_dir is None:
        return found
    return Source(found.rows, found.name, Path(base_dir), found.fingerprint)


def _open(source: Any, split: str | None, subset: str | None, revision: str | None, streaming: bool) -> Source:
    if not isinstance(source, str | Path):
        return _of_object(source, split)
    path, name = Path(source), str(source)
    if path.suffix.lower() in JSON and not path.is_dir():
        if not path.is_file():
            raise ValueError(f"There is no training data at {name!r}.")
        if split not in (None, "train"):
            raise ValueError(f"`split` is for data sets that have splits, not for {path.name}, got {split!r}.")
        return open_json(path, streaming)
    if path.is_dir() or path.suffix.lower() == ".parquet":
        return _of_folder(path, split, subset, streaming)
    if not name.startswith(HUB_PREFIX) and (isinstance(source, Path) or name.count("/") > 1 or path.is_absolute()):
        raise ValueError(
            f"There is no training data at {name!r}; give a .jsonl, .json or .parquet file, a folder, or the id of a "
            "data set on the Hub."
        )
    repository, _, at = name.removeprefix(HUB_PREFIX).partition("@")
    dataset = open_hub(repository, subset, revision or at or None, split, streaming)
    found = _of_object(dataset, split, name=repository)
    return Source(found.rows, found.name, None, found.fingerprint, takes_paths=False)


def _of_folder(path: Path, split: str | None, subset: str | None, streaming: bool) -> Source:
    if not path.exists():
        raise ValueError(f"There is no training data at {str(path)!r}.")
    datasets = datasets_library()
    try:
        if is_saved(path):
            dataset = datasets.load_from_disk(str(path))
        elif path.is_file() and pyarrow.parquet.read_metadata(path).num_rows == 0:
            return Source([], path.name, path.parent)  # `datasets` has no words for it
        elif path.is_file():
            dataset = datasets.load_dataset(
                "parquet", data_files={"train": str(path)}, split="train", streaming=streaming
            )
        else:
            dataset = datasets.load_dataset(str(path), subset, split=split, streaming=streaming)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read as training data: {str(error).strip().rstrip('.')}."
        ) from error
    found = _of_object(dataset, split, name=path.name)
    return Source(found.rows, found.name, path.parent if path.is_file() else path, found.fingerprint)


def _of_object(source: Any, split: str | None, name: str = "data set") -> Source:
    """Rows of an object of `datasets`, or of anything that has rows."""
    if isinstance(source, dict):  # as `DatasetDict` and `IterableDatasetDict` are
        return _of_object(choose_split(source, split, name), None, name)
    if type(source).__module__.partition(".")[0] == "datasets":
        datasets = datasets_library()
        if isinstance(source, datasets.Dataset):
            return Source(TableRows(source), name, fingerprint=source._fingerprint)
        return Source(StreamedTableRows(source), name)
    if not isinstance(source, Iterable):
        raise ValueError(
            "`source` must be a file, a folder, the id of a data set, a `datasets` object or rows, "
            f"got {type(source).__name__}."
        )
    return Source(source if isinstance(source, Sequence) else list(source), name)
