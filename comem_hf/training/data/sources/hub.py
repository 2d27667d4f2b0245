"""Data sets on the Hub."""

from typing import Any

from comem_hf.files.data_sets import refuse_folder_in_its_place, refuse_other_files
from comem_hf.modeling.installation_comem import how_to_install


def datasets_library() -> Any:
    """Return the library `datasets`.

    Raises:
        ValueError: If it is not installed; the message says how to.
    """
    try:
        import datasets
    except ImportError as error:
        raise ValueError(f"This training data needs `datasets`: {how_to_install('train')}.") from error
    return datasets


def open_hub(name: str, subset: str | None, revision: str | None, split: str | None, streaming: bool) -> Any:
    """Open a data set on the Hub.

    Args:
        name (`str`): Its id, `USER/NAME` or `NAME`.
        subset (`str`, *optional*): Its configuration, if it has several.
        revision (`str`, *optional*): A branch, tag or commit.
        split (`str`, *optional*): The split; all by default.
        streaming (`bool`): Whether it is read as it comes, without a copy on this machine.

    Returns:
        What `datasets.load_dataset` returns.

    Raises:
        ValueError: If it cannot be opened, or names files outside itself.
    """
    datasets = datasets_library()
    refuse_folder_in_its_place(name)
    try:
        builder = datasets.load_dataset_builder(name, subset, revision=revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise _cannot_be_opened(name, error) from error
    refuse_other_files(name, builder)
    try:
        if streaming:
            return builder.as_streaming_dataset(split=split)
        builder.download_and_prepare()
        return builder.as_dataset(split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise _cannot_be_opened(name, error) from error


def _cannot_be_opened(name: str, error: Exception) -> ValueError:
    return ValueError(f"The data set {name!r} cannot be opened: {str(error).strip().rstrip('.')}.")
