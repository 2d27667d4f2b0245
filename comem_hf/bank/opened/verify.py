"""Reading a whole bank to check that it is what its configuration says."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from transformers.utils import logging

from comem_hf.bank.pictures.decoder_warnings import decoder_warnings_logged
from comem_hf.bank.pictures.older_pictures import warn_of_other_picture_rules
from comem_hf.bank.words.bank_words import postings_of_items

from .integrity import check_files
from .state import BankState


_VECTORS = 2**16  # of the index, at a time
_ITEMS = 256  # with their memory vectors, at a time


def verify_bank(bank: BankState, model=None, allow_changed_model: bool = False) -> dict[str, int | bool]:
    """See [`MemoryBank.verify`].

    Args:
        bank (`BankState`): The bank; all its files must be there.
        model (`CoMemForConditionalGeneration`, *optional*): The model that should have made the bank.
        allow_changed_model (`bool`, defaults to `False`): Only warn of a changed model, as [`MemoryBank.attach`] does.
    """
    config = bank.config
    names = config.data_files()
    if model is not None:
        bank.check_model(model, allow_changed_model, is_attached=True)
    size = sum(config.files[name]["size"] for name in names)
    with logging.tqdm(total=size, unit="B", unit_scale=True, desc="Comparing checksums") as progress:
        check_files(bank.folder, config, progress=progress.update)
    bank.rows.by_id  # noqa: B018 -- this refuses an id that occurs twice
    with logging.tqdm(total=config.num_rows, unit="item", desc="Reading items") as progress, decoder_warnings_logged():
        for first, count in _ranges(config.num_rows, _VECTORS):
            _check_finite(bank, first, bank.index.vectors(first, count), "an embedding that is")
        for first, count in _ranges(config.num_rows, _ITEMS):
            rows = list(range(first, first + count))
            memory = bank.vectors.read(rows)
            _check_finite(bank, first, memory.flatten(1).float().numpy(), "memory vectors that are")
            _check_items(bank, rows)
            progress.update(count)
    if bank.words.is_stored and bank.words.postings != postings_of_items(bank.items, bank.words.live):
        raise ValueError(
            f"{config.words['file']} of the bank {str(bank.folder)!r} does not have the words of its items."
        )
    warn_of_other_picture_rules(bank.items, bank.removed, math.inf, None)
    return {
        "generation": config.generation,
        "items": config.num_items,
        "removed": len(bank.removed),
        "shards": len(config.shard_sizes),
        "files": len(names),
        "bytes": size,
        "model": model is not None,
    }


def _ranges(number: int, length: int) -> Iterator[tuple[int, int]]:
    """First number and length of consecutive parts of a range."""
    for first in range(0, number, length):
        yield first, min(length, number - first)


def _check_finite(bank: BankState, first: int, vectors: np.ndarray, what: str) -> None:
    good = np.isfinite(vectors).all(axis=1)
    if not good.all():
        row = first + int(np.argmin(good))
        item_id = bank.items.read_records([row])[0].id
        raise ValueError(f"Bank item {item_id!r} (row {row}) has {what} not finite.")


def _check_items(bank: BankState, rows: list[int]) -> None:
    bank.items.read(rows)  # this opens the images
    for row, record in zip(rows, bank.items.read_records(rows), strict=True):
        name = record.image_name
        # A bank opens no image by its name, but others who read the Parquet file might.
        if name is not None and (record.image is None or Path(name).name != name or "\\" in name):
            raise ValueError(
                f"Bank item {record.id!r} (row {row}) refers to the image {name!r}; an image must be in the bank "
                "itself, under a name without a folder."
            )
