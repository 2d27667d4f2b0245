"""The picture of an item, as it is asked about."""

import io

from comem_hf.bank import MemoryBank
from comem_hf.bank.scores.disturbances import DISTURBANCES


def item_picture(bank: MemoryBank, item_id: str, number: int) -> bytes | None:
    """Return the picture of an item of a bank, disturbed, so that no search meets a stored picture, as PNG.

    Args:
        bank (`MemoryBank`): The bank.
        item_id (`str`): Id of the item.
        number (`int`): A number that chooses among [`DISTURBANCES`].

    Returns:
        `bytes` or `None`: The encoded picture; `None` if the item has none.
    """
    picture = bank[item_id].load_image()
    if picture is None:
        return None
    disturb = list(DISTURBANCES.values())[number % len(DISTURBANCES)]
    buffer = io.BytesIO()
    disturb(picture).save(buffer, "PNG")
    return buffer.getvalue()
