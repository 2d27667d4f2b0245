"""Data sets that `datasets` opens: streamed from the Hub, or from a folder of `save_to_disk`."""

from pathlib import Path
from typing import Any

from comem_hf.files.data_sets import choose_split, refuse_folder_in_its_place, refuse_other_files
from comem_hf.modeling.installation_comem import how_to_install


def stream_of_hub(repository: str, revision: str | None, split: str) -> Any:
    """Open a split of a data set on the Hub, read as it comes.

    Args:
        repository (`str`): Its id.
        revision (`str`, *optional*): A branch, tag or commit.
        split (`str`): The split.

    Raises:
        ValueError: If a folder has its name, or it names files outside itself.
    """
    refuse_folder_in_its_place(repository)
    builder = _library().load_dataset_builder(repository, revision=revision)
    refuse_other_files(repository, builder)
    return builder.as_streaming_dataset(split=split)


def open_saved(folder: Path, split: str | None) -> Any:
    """Open a folder of `save_to_disk`, or a split of it if it has several.

    Raises:
        ValueError: If it is not whole, or has no such split.
    """
    datasets = _library()
    try:
        dataset = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{str(folder)!r} is no whole folder of `save_to_disk`: {error}.") from error
    if isinstance(dataset, datasets.DatasetDict):
        return choose_split(dataset, split, repr(str(folder)))
    if split is not None:
        raise ValueError(f"{str(folder)!r} has no splits, got {split!r}.")
    return dataset


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ValueError(f"This source needs `datasets`: {how_to_install('train')}.") from error
    return datasets
