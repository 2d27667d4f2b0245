"""Banks whose pictures were read by other rules than today's: which of them may differ."""

import io
from collections.abc import Iterator
from itertools import islice

import numpy as np
from PIL import Image
from transformers.utils import logging

from comem_hf.bank.format.file_names import items_name
from comem_hf.bank.format.items import ROWS_PER_GROUP, StoredItems
from comem_hf.bank.format.record import ItemRecord
from comem_hf.modeling.picture_pixels_comem import PICTURE_RULES, depends_on_rules


logger = logging.get_logger(__name__)

# What is read of an older bank when it is opened, whichever is less: a fraction of a second.
LOOKED_AT_WHEN_OPENED = 64 * 2**20  # bytes
ITEMS_LOOKED_AT = 2048


def warn_of_other_picture_rules(
    items: StoredItems,
    removed: np.ndarray,
    most_bytes: float = LOOKED_AT_WHEN_OPENED,
    most_items: int | None = ITEMS_LOOKED_AT,
) -> None:
    """Warn once if pictures of a bank may have been read by rules that give other pixels than today's.

    Banks whose `picture_rules` are today's cost nothing. Of others, the headers of pictures are read, and nothing is
    decoded: of a small bank all; of a large one those of the first items, so that a rare picture further on goes
    unnoticed until [`MemoryBank.verify`] looks at all. Files of a Hub repository that were not fetched
    yet are not fetched for this.

    Args:
        items (`StoredItems`): The items of the bank.
        removed (`np.ndarray`): Rows that are not looked at.
        most_bytes (`float`, *optional*, defaults to 64 MiB): Size of the files that are looked at.
        most_items (`int`, *optional*, defaults to 2048): Items that are looked at; `None` means all.
    """
    rules, folder = items.config.picture_rules, str(items.folder)
    if rules > PICTURE_RULES:
        logger.warning(
            f"The pictures of the bank {folder!r} were read by the rules {rules}, but this version of comem_hf knows "
            f"the rules up to {PICTURE_RULES} and may find less. Upgrade comem_hf."
        )
    if rules >= PICTURE_RULES:
        return
    looked_at, differing = 0, []
    for record in islice(_records(items, set(removed.tolist()), most_bytes), most_items):
        if record.image is not None:
            looked_at += 1
            differing += [record.id] if _depends_on_rules(record.image) else []
    if differing:
        logger.warning(
            f"The bank {folder!r} was made by an older version of comem_hf, which read pictures with transparent "
            "parts, with more than 8 bits or with a colour profile in another way. Of the pictures looked at, "
            f"{len(differing)} of {looked_at} may be such, that of item {differing[0]!r} for one: searches may miss "
            "them until the bank is built again."
        )


def _records(items: StoredItems, removed: set[int], most_bytes: float) -> Iterator[ItemRecord]:
    """The items, up to the first file that is not there or exceeds `most_bytes`."""
    start = 0
    for shard, end in enumerate(items.config.shard_ends):
        name = items_name(shard)
        most_bytes -= items.config.files[name]["size"]
        if most_bytes < 0 or not (items.folder / name).is_file():
            return
        for first in range(start, end, ROWS_PER_GROUP):
            rows = range(first, min(first + ROWS_PER_GROUP, end))
            yield from items.read_records([row for row in rows if row not in removed])
        start = end


def _depends_on_rules(content: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return depends_on_rules(image)
    except Exception:  # of many types; a picture that nobody can open is found by no rules
        return False


__all__ = ["LOOKED_AT_WHEN_OPENED", "warn_of_other_picture_rules"]
