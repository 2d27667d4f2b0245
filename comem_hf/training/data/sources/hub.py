"""Data sets on the Hub."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

from comem_hf.modeling.installation_comem import how_to_install


PREFIX = "hf://datasets/"


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
    if Path(name).exists():  # `datasets` would read that folder instead
        raise ValueError(f"{PREFIX}{name} cannot be read where a folder {name!r} exists: change to another folder.")
    try:
        builder = datasets.load_dataset_builder(name, subset, revision=revision)
        for address in chain.from_iterable((builder.config.data_files or {}).values()):
            # Before version 5, `datasets` reads any file that a card names.
            if (
                re.search(rf"(^|::)hf://datasets/{re.escape(name)}(@[^/]+)?/[^:]+$", address) is None
                or ".." in address
            ):
                raise ValueError(f"it names {address!r}, a file outside it")
        if streaming:
            return builder.as_streaming_dataset(split=split)
        builder.download_and_prepare()
        return builder.as_dataset(split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(f"The data set {name!r} cannot be opened: {str(error).strip().rstrip('.')}.") from error
