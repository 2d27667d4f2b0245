"""Reading of a checkpoint's tensors, each only when it is used, without keeping a file mapped into memory."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from transformers.utils import (
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    WEIGHTS_INDEX_NAME,
    WEIGHTS_NAME,
    cached_file,
)


DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
LARGEST_WEIGHT = torch.finfo(torch.float16).max  # training makes no larger ones, but one flipped bit does


@dataclass(frozen=True)
class LazyTensor:
    """A tensor that is read, or computed, when loaded.

    Args:
        origin (`str`): Where the tensor comes from, for messages.
        shape (`torch.Size`), dtype (`torch.dtype`): Shape and dtype that the tensor has when loaded.
        load (`Callable`): Reads or computes the tensor again at every call.
    """

    origin: str
    shape: torch.Size
    dtype: torch.dtype
    load: Callable[[], torch.Tensor]

    @property
    def num_bytes(self) -> int:
        """Size of the tensor in memory and in a file."""
        return prod(self.shape) * self.dtype.itemsize

    def then(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "LazyTensor":
        """Return a tensor that applies `change` to this one when loaded."""
        with torch.device("meta"):
            shape = change(torch.empty(self.shape, dtype=self.dtype)).shape
        return LazyTensor(self.origin, shape, self.dtype, lambda: change(self.load()))


def read_weights(
    source: str | os.PathLike, safetensors_name: str = SAFE_WEIGHTS_NAME, pickle_name: str = WEIGHTS_NAME
) -> dict[str, LazyTensor]:
    """Return the tensors of a checkpoint by their keys.

    They are read from one safetensors file, from safetensors shards, from one `.bin` file or from `.bin` shards,
    whichever is found first.

    Args:
        source (`str` or `os.PathLike`): Folder or repository.
        safetensors_name (`str`, *optional*), pickle_name (`str`, *optional*): Name of a single file of each format.

    Raises:
        ValueError: If there is no such file, if one is missing or damaged, or if a key is not in the file that the
            index names.
    """
    for name, index_name in (safetensors_name, SAFE_WEIGHTS_INDEX_NAME), (pickle_name, WEIGHTS_INDEX_NAME):
        if path := find_file(source, name):
            tensors = read_tensors(path)
        elif path := find_file(source, index_name):
            tensors = _read_shards(source, path)
        else:
            continue
        if not tensors:
            raise ValueError(f"{path} holds no tensors; download it again.")
        return tensors
    raise ValueError(f"{source} has no file {safetensors_name} or {pickle_name}, nor an index of several.")


def find_file(source: str | os.PathLike, name: str) -> Path | None:
    """Return a file of a folder or repository, downloaded if needed; `None` if there is none of that name."""
    if os.path.isdir(source):
        path = Path(source) / name
        return path if path.is_file() else None
    path = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
    return None if path is None else Path(path)


def read_tensors(path: Path) -> dict[str, LazyTensor]:
    """Return the tensors of one safetensors or `.bin` file by their keys."""
    return _read_pickle(path) if path.suffix == ".bin" else _read_safetensors(path)


def _read_shards(source: str | os.PathLike, index: Path) -> dict[str, LazyTensor]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shard_names = sorted(set(weight_map.values()))
        if any(Path(name).name != name for name in shard_names):  # a name must not lead outside the folder
            raise ValueError(shard_names)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{index} is no index of shards: it has no valid `weight_map`; download it again.") from None
    shards = {}
    for name in shard_names:
        path = find_file(source, name)
        if path is None:
            raise ValueError(f"{index} names the shard {name}, which is missing; download it again.")
        shards[name] = read_tensors(path)
    for key, name in weight_map.items():
        if key not in shards[name]:
            raise ValueError(f"{index} says that {key} is in {name}, which does not hold it; download both again.")
    return {key: shards[name][key] for key, name in weight_map.items()}


def _read_safetensors(path: Path) -> dict[str, LazyTensor]:
    # The safetensors library maps whole files, and their pages count as this process's memory; here, only the tensors
    # in use are read.
    size = path.stat().st_size
    with open(path, "rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        if size < 8 or header_size > min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(f"{path} is damaged: its header does not fit into its {size} bytes; download it again.")
        header = file.read(header_size)
    try:
        entries = {key: entry for key, entry in json.loads(header).items() if key != "__metadata__"}
        return {key: _entry(path, key, entry, 8 + header_size, size) for key, entry in entries.items()}
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} is damaged: its header makes no sense; download it again.") from None


def _entry(path: Path, key: str, entry: dict[str, Any], start: int, size: int) -> LazyTensor:
    if entry["dtype"] not in DTYPES:
        raise ValueError(
            f"{key} in {path} has the dtype {entry['dtype']}, which is none of {', '.join(DTYPES)}; convert the "
            "checkpoint as it was before quantization."
        )
    dtype, shape, offsets = DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, *offsets)) or len(offsets) != 2:
        raise KeyError(key)
    begin, end = offsets
    if end - begin != prod(shape) * dtype.itemsize:
        raise KeyError(key)
    if start + end > size:
        raise ValueError(f"{path} is cut off: {key} should end at byte {start + end} of {size}; download it again.")
    return _stored(path, key, torch.Size(shape), dtype, start + begin)


def _stored(path: Path, key: str, shape: torch.Size, dtype: torch.dtype, offset: int) -> LazyTensor:
    origin = f"{key} in {path}"

    def load() -> torch.Tensor:
        tensor = torch.empty(shape, dtype=dtype)
        with open(path, "rb") as file:
            file.seek(offset)
            buffer = memoryview(tensor.view(-1).view(torch.uint8).numpy())
            if file.readinto(buffer) != len(buffer):
                raise ValueError(f"{path} is cut off within {key}; download it again.")
        return _refuse_damage(tensor, origin)

    return LazyTensor(origin, shape, dtype, load)


def _read_pickle(path: Path) -> dict[str, LazyTensor]:
    def load(key: str) -> torch.Tensor:
        # The file is mapped again for each tensor, so that the parts already read do not stay in memory.
        return _refuse_damage(_open_pickle(path)[key].clone(), f"{key} in {path}")

    tensors = {}
    for key, tensor in _open_pickle(path).items():
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise ValueError(f"{path} is no dictionary of weights: {key} is not a floating-point tensor.")
        tensors[key] = LazyTensor(f"{key} in {path}", tensor.shape, tensor.dtype, lambda key=key: load(key))
    return tensors


def _open_pickle(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} holds more than tensors, perhaps harmful code; nothing of it was run. Ask for safetensors."
        ) from None
    except (RuntimeError, EOFError, ValueError):
        raise ValueError(
            f"{path} is damaged or not a file of torch 1.6 or later; download it again, or save it anew."
        ) from None
    if not isinstance(tensors, dict):
        raise ValueError(f"{path} is no dictionary of weights, but a {type(tensors).__name__}.")
    return tensors


def _refuse_damage(tensor: torch.Tensor, origin: str) -> torch.Tensor:
    if not tensor.numel():
        return tensor
    # Minimum and maximum propagate NaN, need no memory and take a twentieth of the time of `isfinite`.
    largest = torch.stack(torch.aminmax(tensor)).abs().max().item()
    if not largest < float("inf"):
        raise ValueError(f"{origin} holds values that are infinite or not a number; the checkpoint is broken.")
    if largest > LARGEST_WEIGHT:
        raise ValueError(f"{origin} holds values up to {largest:.1e}; the file is damaged, download it again.")
    return tensor
