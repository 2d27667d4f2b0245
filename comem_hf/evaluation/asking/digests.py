"""Digests of what a run depends on, by which a folder of another run is told apart."""

import hashlib
from functools import cache
from pathlib import Path

import torch

from comem_hf.bank import MemoryBank
from comem_hf.files.whole_file import file_entry


NUMBERS = 64  # of each tensor


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file; a file of gigabytes that several languages share is read once."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    return file_entry(path)["sha256"]


def digest_of_model(model: torch.nn.Module) -> str:
    """Return a digest of 64 numbers of each of a model's tensors: quick, and another one for other weights.

    Args:
        model (`CoMemForConditionalGeneration`): The model, as it was loaded.
    """
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if tensor.is_meta:  # offloaded
            continue
        few = tensor.reshape(-1)[:: max(1, tensor.numel() // NUMBERS)][:NUMBERS]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(few.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def digest_of_bank(bank: MemoryBank) -> str:
    """Return a digest of a bank's items, index and vectors.

    Args:
        bank (`MemoryBank`): The bank.
    """
    entries = [(name, bank.config.files[name]["sha256"]) for name in bank.config.data_files()]
    return hashlib.sha256(repr(entries).encode()).hexdigest()


def digest_of_folder(folder: Path) -> str:
    """Return a digest of all files of a folder, such as one of retrieval records."""
    entries = sorted((path.name, digest_of_file(path)) for path in folder.iterdir() if path.is_file())
    return hashlib.sha256(repr(entries).encode()).hexdigest()
