"""Stored memory vectors: safetensors shards, read memory-mapped."""

import threading
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .config import BankConfig, memory_name
from .shards import group_by_shard


MEMORY_KEY = "memory"


def write_memory(path: Path, memory: torch.Tensor) -> None:
    """Write one shard: a tensor of shape (items, memory tokens, hidden)."""
    save_file({MEMORY_KEY: memory.contiguous().cpu()}, path)


class MemoryVectors:
    """Memory vectors of a bank; a read touches only the rows asked for.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration, which the shards must match.
    """

    def __init__(self, folder: Path, config: BankConfig):
        self.folder = folder
        self.config = config
        self.dtype = getattr(torch, config.memory_dtype)
        self._slices = {}
        self._lock = threading.Lock()

    def read(self, rows: list[int]) -> torch.Tensor:
        """Vectors of the given rows, shape (rows, memory tokens, hidden), on the CPU in the stored dtype."""
        shape = (len(rows), self.config.num_memory_tokens, self.config.hidden_size)
        memory = torch.empty(shape, dtype=self.dtype)
        for shard, places in group_by_shard(rows, self.config.shard_sizes).items():
            stored = self._open(shard)
            for place, row in places:
                memory[place] = stored[row]
        return memory

    def _open(self, shard: int):
        with self._lock:
            if shard not in self._slices:
                path = self.folder / memory_name(shard)
                try:
                    stored = safe_open(path, framework="pt").get_slice(MEMORY_KEY)
                except SafetensorError as error:
                    raise ValueError(f"{str(path)!r} is damaged: {error}.") from error
                expected = [self.config.shard_sizes[shard], self.config.num_memory_tokens, self.config.hidden_size]
                if stored.get_shape() != expected or stored[0].dtype != self.dtype:
                    raise ValueError(
                        f"{str(path)!r} must hold {self.config.memory_dtype} vectors of shape {expected}, "
                        f"got {stored.get_dtype()} of shape {stored.get_shape()}."
                    )
                self._slices[shard] = stored
            return self._slices[shard]
