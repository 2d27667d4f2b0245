"""How often a disturbed picture of an item finds that item first."""

from collections.abc import Sequence

from tqdm import tqdm

from comem_hf.bank import MemoryBank
from comem_hf.bank.scores.disturbances import DISTURBANCES


def recall_at_1(bank: MemoryBank, item_ids: Sequence[str] | None = None, batch_size: int = 64) -> dict[str, float]:
    """Measure the recall@1 of a bank for its own pictures under each of [`DISTURBANCES`].

    Args:
        bank (`MemoryBank`): The bank, with the embedder of its queries attached. All its items are searched.
        item_ids (`Sequence[str]`, *optional*): Items to look for; all if not given.
        batch_size (`int`, *optional*, defaults to `64`): Queries per search.

    Returns:
        `dict[str, float]`: Share of items found first, by name of the disturbance.
    """
    ids = list(bank.ids if item_ids is None else item_ids)
    recall = {}
    for name, disturb in DISTURBANCES.items():
        found = 0
        with tqdm(range(0, len(ids), batch_size), desc=f"Retrieval, {name}", leave=False) as starts:
            for start in starts:
                batch = ids[start : start + batch_size]
                pictures = [disturb(bank[item_id].load_image()) for item_id in batch]
                hits = bank.search(image=pictures, k=1, probabilities=False)
                found += sum(best[0].item.id == item_id for best, item_id in zip(hits, batch, strict=True))
        recall[name] = found / len(ids)
    return recall
