"""Adding to a bank with a model in few bits, whose vectors are not quite those of the bank's own model."""

from transformers.utils import logging

from comem_hf.bank.encoding.item_encoder import ItemEncoder
from comem_hf.bank.opened.state import BankState


COMPARED = 4  # items

logger = logging.get_logger(__name__)


def warn_of_rounded_encoder(bank: BankState, encoder: ItemEncoder) -> None:
    """Warn if a model is loaded in few bits, with the difference that this makes to stored items.

    Args:
        bank (`BankState`): The bank that items are about to be added to.
        encoder (`ItemEncoder`): Encodes them.
    """
    if not encoder.model.is_rounded():
        return
    rows = list(bank.rows.by_id.values())[:COMPARED]
    ours = [encoded.memory for encoded in encoder.encode(bank.items.read_records(rows))]
    pairs = [(new, old) for new, old in zip(ours, bank.vectors.read(rows), strict=True) if new is not None]
    differences = [((new.float() - old.float()).norm() / old.float().norm()).item() for new, old in pairs]
    measured = "there is no stored item to compare with"
    if differences:
        size = f"{max(differences):.1%} of their size"
        measured = f"encoded again, {len(pairs)} stored items get vectors that differ by up to {size}"
    logger.warning(
        f"The model is loaded in {encoder.model.precision()}: {measured}. Load it in float32 or bfloat16 to add items "
        "exactly."
    )
