"""Writing of safetensors files, one tensor at a time."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from comem_hf.conversion.published.tensor_files import DTYPES, LazyTensor


MAX_SHARD_BYTES = 5 * 10**9
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_shards(
    folder: Path,
    tensors: dict[str, LazyTensor],
    max_bytes: int = MAX_SHARD_BYTES,
    on_written: Callable[[int], object] = lambda num_bytes: None,
):
    """Write tensors under the file names that transformers expects, with one tensor in memory at a time.

    Args:
        folder (`pathlib.Path`): Folder to write to; must exist.
        tensors (`dict[str, LazyTensor]`): Tensors to write; each is loaded once.
        max_bytes (`int`, *optional*, defaults to 5e9): Largest size of a shard. A larger tensor gets its own shard.
        on_written (`Callable`, *optional*): Called with the number of bytes of each tensor that was written.
    """
    shards = [[]]
    room = max_bytes
    for key, tensor in tensors.items():
        if shards[-1] and tensor.num_bytes > room:
            shards.append([])
            room = max_bytes
        shards[-1].append(key)
        room -= tensor.num_bytes
    if len(shards) == 1:
        names = [SAFE_WEIGHTS_NAME]
    else:
        names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    for name, keys in zip(names, shards, strict=True):
        _write_file(folder / name, {key: tensors[key] for key in keys}, on_written)
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(tensor.num_bytes for tensor in tensors.values())},
            "weight_map": {key: name for name, keys in zip(names, shards, strict=True) for key in keys},
        }
        (folder / SAFE_WEIGHTS_INDEX_NAME).write_text(json.dumps(index, indent=2), encoding="utf-8")


def _write_file(path: Path, tensors: dict[str, LazyTensor], on_written: Callable[[int], object]):
    # Wide dtypes first: readers expect each tensor to start at a multiple of its dtype's size.
    tensors = dict(sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize))
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for key, tensor in tensors.items():
        begin, end = end, end + tensor.num_bytes
        header[key] = {"dtype": DTYPE_NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(memoryview(_bytes_of(tensor)))
            on_written(tensor.num_bytes)
        file.flush()
        os.fsync(file.fileno())


def _bytes_of(lazy: LazyTensor):
    tensor = lazy.load()
    if tensor.shape != lazy.shape or tensor.dtype != lazy.dtype:
        raise RuntimeError(f"{lazy.origin} was announced as {lazy.dtype} {tuple(lazy.shape)}, but is another.")
    return tensor.contiguous().view(-1).view(torch.uint8).numpy()
