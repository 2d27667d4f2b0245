"""The tensors of a checkpoint, each read only when it is used."""

import json
import os
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file


def open_tensors(source: str | os.PathLike, variant: str | None = None, **hub_kwargs) -> dict[str, Any]:
    """Open the safetensors files of a checkpoint: one file or, if there is none, the shards that an index names.

    Args:
        source (`str` or `os.PathLike`): Folder or repository.
        variant (`str`, *optional*): As for [`~transformers.PreTrainedModel.from_pretrained`]: `"fp16"` means
            `model.fp16.safetensors`.
        **hub_kwargs: As for [`~transformers.utils.cached_file`].

    Returns:
        `dict[str, PySafeSlice]`: Each tensor by its name, unread; `value[...]` reads it.

    Raises:
        ValueError: If a file is missing, truncated or corrupt; the message names it.
    """

    def find(name: str) -> str | None:
        return cached_file(source, name, _raise_exceptions_for_missing_entries=False, **hub_kwargs)

    names = [_add_variant(SAFE_WEIGHTS_NAME, variant)]
    index_name, why = _add_variant(SAFE_WEIGHTS_INDEX_NAME, variant), ""
    # An index beside a whole file is left over from an earlier, larger checkpoint.
    if find(names[0]) is None and (index := find(index_name)) is not None:
        names, why = _shards(index, f"{index_name} in {source}"), f", which its {index_name} names"
    tensors = {}
    for name in names:
        path = find(name)
        if path is None:
            raise ValueError(f"{source} has no file {name}{why}.")
        try:
            file = safe_open(path, framework="pt")
        except SafetensorError as error:
            raise ValueError(
                f"{name} in {source} is truncated or corrupt ({error}); copy or download it again."
            ) from error
        tensors |= {key: file.get_slice(key) for key in file.keys()}
    return tensors


def _shards(index: str, described: str) -> list[str]:
    with open(index, encoding="utf-8") as file:
        try:
            return sorted(set(map(str, json.load(file)["weight_map"].values())))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{described} is truncated or corrupt ({error!r}); copy or download it again.") from error


def _add_variant(name: str, variant: str | None) -> str:
    stem, _, suffix = name.rpartition(".")
    return name if variant is None else f"{stem}.{variant}.{suffix}"


__all__ = ["open_tensors"]
