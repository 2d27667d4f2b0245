"""The tensors of a checkpoint, each read only when it is asked for."""

import json
import os
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file


def open_tensors(source: str | os.PathLike, **hub_kwargs) -> dict[str, Any]:
    """
    Opens the safetensors files of a checkpoint, sharded or not.

    Args:
        source (`str` or `os.PathLike`): Folder or repository.
        **hub_kwargs: As for [`~transformers.utils.cached_file`].

    Returns:
        `dict[str, PySafeSlice]`: Each tensor by its name, unread; `value[...]` reads it.

    Raises:
        `ValueError`: If a file is missing, truncated or corrupt; the message names it.
    """
    index = cached_file(source, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False, **hub_kwargs)
    names = [SAFE_WEIGHTS_NAME]
    if index is not None:
        with open(index, encoding="utf-8") as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
    tensors = {}
    for name in names:
        path = cached_file(source, name, _raise_exceptions_for_missing_entries=False, **hub_kwargs)
        if path is None:
            why = "" if index is None else f", which its {SAFE_WEIGHTS_INDEX_NAME} names"
            raise ValueError(f"{source} has no file {name}{why}.")
        try:
            file = safe_open(path, framework="pt")
        except SafetensorError as error:
            raise ValueError(
                f"{name} in {source} is truncated or corrupt ({error}); copy or download it again."
            ) from error
        tensors |= {key: file.get_slice(key) for key in file.keys()}
    return tensors


__all__ = ["open_tensors"]
