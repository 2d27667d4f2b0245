"""Reading and writing safetensors, one tensor at a time."""

import json
import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file


MAX_SHARD_BYTES = 5 * 10**9


class TensorReader:
    """
    The tensors of a checkpoint, sharded or not, read when asked for.

    Args:
        source (`str` or `os.PathLike`): Folder or repository.

    Raises:
        `ValueError`: If there is no safetensors file, or if a shard is missing.
    """

    def __init__(self, source: str | os.PathLike):
        self.source = str(source)
        self._files = {}
        index = cached_file(source, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False)
        if index is None:
            self._open(SAFE_WEIGHTS_NAME)
        else:
            for name in sorted(set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())):
                self._open(name)

    def _open(self, name: str):
        path = cached_file(self.source, name, _raise_exceptions_for_missing_entries=False)
        if path is None:
            raise ValueError(f"{self.source} has no file {name}; only safetensors checkpoints can be converted.")
        file = safe_open(path, framework="pt")
        self._files.update(dict.fromkeys(file.keys(), file))

    def keys(self) -> list[str]:
        """Returns the names of all tensors."""
        return list(self._files)

    def __contains__(self, key: str) -> bool:
        return key in self._files

    def __getitem__(self, key: str) -> torch.Tensor:
        return self._files[key].get_tensor(key)


class ShardWriter:
    """
    Writes tensors into a folder in shards of at most 5 GB, with their index.

    Args:
        folder (`pathlib.Path`): Where to; must exist.
        max_bytes (`int`, *optional*): Size of a shard.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_SHARD_BYTES):
        self.folder = folder
        self.max_bytes = max_bytes
        self.total_bytes = 0
        self.num_tensors = 0
        self._shards: list[list[str]] = []
        self._pending: dict[str, torch.Tensor] = {}
        self._pending_bytes = 0

    def add(self, key: str, tensor: torch.Tensor):
        """Takes one tensor; writes a shard when full."""
        size = tensor.numel() * tensor.element_size()
        if self._pending and self._pending_bytes + size > self.max_bytes:
            self._flush()
        self._pending[key] = tensor.contiguous()
        self._pending_bytes += size
        self.total_bytes += size
        self.num_tensors += 1

    def _flush(self):
        self._shards.append(list(self._pending))
        save_file(self._pending, self.folder / f"shard-{len(self._shards)}", metadata={"format": "pt"})
        self._pending, self._pending_bytes = {}, 0

    def finish(self):
        """Writes what is left and gives the files the names that transformers looks for."""
        if self._pending:
            self._flush()
        if len(self._shards) == 1:
            os.replace(self.folder / "shard-1", self.folder / SAFE_WEIGHTS_NAME)
            return
        weight_map = {}
        for number, keys in enumerate(self._shards, start=1):
            name = f"model-{number:05d}-of-{len(self._shards):05d}.safetensors"
            os.replace(self.folder / f"shard-{number}", self.folder / name)
            weight_map |= dict.fromkeys(keys, name)
        index = {"metadata": {"total_size": self.total_bytes}, "weight_map": weight_map}
        (self.folder / SAFE_WEIGHTS_INDEX_NAME).write_text(json.dumps(index, indent=2), encoding="utf-8")


__all__ = ["ShardWriter", "TensorReader"]
