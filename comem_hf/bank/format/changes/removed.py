"""Removed rows of a bank: they stay in the shards and the index, but are no longer items."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from comem_hf.bank.format.config import BankConfig


_KEY = "rows"


def write_removed(path: Path, rows: np.ndarray) -> None:
    """Write all removed rows of a bank, int64, in ascending order."""
    save_file({_KEY: np.asarray(rows, dtype=np.int64)}, path)


def read_removed(folder: Path, config: BankConfig) -> np.ndarray:
    """The removed rows of a bank, int64, in ascending order.

    Raises:
        ValueError: If the file is damaged, or does not match `config`.
    """
    if config.removed is None:
        return np.empty(0, dtype=np.int64)
    path = folder / config.removed
    try:
        rows = load_file(path)[_KEY]
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}.") from error
    count = config.num_rows - config.num_items
    good = rows.dtype == np.int64 and rows.shape == (count,) and (np.diff(rows) > 0).all()
    if not good or rows[0] < 0 or rows[-1] >= config.num_rows:
        raise ValueError(
            f"{str(path)!r} is damaged: it must hold {count} different rows below {config.num_rows}, in ascending "
            "order."
        )
    return rows
