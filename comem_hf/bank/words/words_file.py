"""The file of a bank's words index: safetensors, read memory-mapped."""

from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from comem_hf.bank.format.config import BankConfig

from .postings import Postings


_TYPES = {
    "letters": np.uint8,
    "ends": np.int64,
    "starts": np.int64,
    "rows": np.int32,
    "counts": np.uint8,
    "lengths": np.int32,
}


def write_words(path: Path, postings: Postings) -> None:
    """Write postings to one file."""
    save_file({name: np.ascontiguousarray(getattr(postings, name)) for name in _TYPES}, path)


def read_words(folder: Path, config: BankConfig) -> Postings:
    """Map the words index of a bank into memory; the pages of words are read when they are searched for.

    Raises:
        ValueError: If the file is damaged, or does not match `config`.
    """
    path = folder / config.words["file"]
    try:
        # Tensors of torch stay in the mapped file; arrays of numpy would be copied.
        with safe_open(path, framework="pt") as file:
            arrays = {name: file.get_tensor(name).numpy() for name in _TYPES}
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}.") from error
    postings = Postings(**arrays)
    sizes = {field.name: len(arrays[field.name]) for field in fields(Postings)}
    good = all(array.dtype == _TYPES[name] and array.ndim == 1 for name, array in arrays.items())
    good = good and sizes["starts"] == sizes["ends"] + 1 and sizes["rows"] == sizes["counts"] == postings.starts[-1]
    good = good and sizes["letters"] == (postings.ends[-1] if len(postings) else 0)
    if not good or sizes["lengths"] != config.num_rows:
        raise ValueError(f"{str(path)!r} is damaged: it is no words index of {config.num_rows} items.")
    return postings
