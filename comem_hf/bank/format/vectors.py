"""Stored memory vectors: safetensors shards, read memory-mapped."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from comem_hf.modeling.field_checks_comem import check_at_most

from .config import BankConfig
from .file_names import memory_name
from .precision import pack, stored_shapes, unpack
from .replaced import ReplacementCheck


# Shards that are kept mapped; systems allow a process some 65,000 mappings.
_KEPT_SHARDS = 4096


def write_memory(path: Path, memory: torch.Tensor, dtype: str) -> None:
    """Write one shard: vectors of shape (items, memory tokens, hidden), stored as `dtype`."""
    save_file(pack(memory.cpu(), dtype), path)


class MemoryVectors:
    """Memory vectors of a bank; a read touches only the requested rows.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration, which the shards must match.
        fetch (`Callable[[list[str]], None]`, *optional*): Called with names of files before they are first read.
    """

    def __init__(self, folder: Path, config: BankConfig, fetch: Callable[[list[str]], None] | None = None):
        self.folder = folder
        self.config = config
        self.fetch = fetch
        self.dtype = config.memory_dtype
        self._replacement = ReplacementCheck(folder, config)
        self._open = lru_cache(_KEPT_SHARDS)(self._read_header)

    def read(self, rows: list[int]) -> torch.Tensor:
        """Vectors of the given rows, shape (rows, memory tokens, hidden), on the CPU.

        They are in the stored dtype if that is floating-point, else in float32.
        """
        return unpack(self.read_stored(rows), self.dtype)

    def read_stored(self, rows: list[int]) -> dict[str, torch.Tensor]:
        """Stored tensors of the given rows, as [`pack`] made them."""
        config = self.config
        shapes = stored_shapes(self.dtype, len(rows), config.num_memory_tokens, config.hidden_size)
        memory = {key: torch.empty(shape, dtype=dtype) for key, (dtype, shape) in shapes.items()}
        groups = config.group_by_shard(rows)
        if self.fetch is not None:
            self.fetch([memory_name(shard) for shard in groups])
        with self._replacement.noticed():
            for shard, places in groups.items():
                stored = self._open(shard)
                for place, row in places:
                    for key, part in stored.items():
                        memory[key][place] = part[row]
        return memory

    def _read_header(self, shard: int) -> dict:
        """Open the tensors of a shard; their rows are read later, when they are requested."""
        path = self.folder / memory_name(shard)
        expected = stored_shapes(
            self.dtype, self.config.shard_sizes[shard], self.config.num_memory_tokens, self.config.hidden_size
        )
        try:
            file = safe_open(path, framework="pt")
            stored = {key: file.get_slice(key) for key in file.keys()}
        except SafetensorError as error:
            raise ValueError(f"{str(path)!r} is damaged: {error}.") from error
        found = {key: (part[0].dtype, part.get_shape()) for key, part in stored.items()}
        if found != expected:
            raise ValueError(
                f"{str(path)!r} must hold {_words(expected)} for vectors in {self.dtype}, got {_words(found)}."
            )
        return stored


def stored_tokens(num_memory_tokens: int | None, most: int) -> int:
    """Return how many vectors of each item are stored or used, from the first on.

    Args:
        num_memory_tokens (`int`, *optional*): The number that was asked for; all by default.
        most (`int`): How many there are.

    Raises:
        ValueError: If it is no number from 1 to `most`.
    """
    if num_memory_tokens is None:
        return most
    check_at_most("num_memory_tokens", num_memory_tokens, most, "the vectors that there are of an item")
    return num_memory_tokens


def _words(tensors: dict[str, tuple[torch.dtype, list[int]]]) -> str:
    return ", ".join(f"{key} ({str(dtype).removeprefix('torch.')} {shape})" for key, (dtype, shape) in tensors.items())
