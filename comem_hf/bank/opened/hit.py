"""What a search in a memory bank returns."""

from dataclasses import dataclass, field

from comem_hf.modeling.memory_item import MemoryItem


@dataclass(frozen=True)
class MemoryHit:
    """One memory item that [`MemoryBank.search`] found.

    Args:
        item (`MemoryItem`): The stored item; its image is opened from the bank's own copy, never from a path.
        score (`float`): How near the item is to the query, by their embeddings: cosine similarity, -1 to 1, or
            minus the Euclidean distance in a bank with the metric `"l2"`. Of a search by words it is the BM25 score,
            from 0 on, and of one by picture and words the sum of reciprocal ranks (see [`fused`]): neither can be
            compared with scores of other searches.
        rank (`int`): 0 for the best hit of its query.
        row (`int`, *optional*): Position of the item in the bank.
        bank (`str`, *optional*): Digest of the item's shard and its place there (see [`BankConfig.row_digests`]); a
            bank with another item there refuses the hit. A hit without `row` or `bank` stands for the item with
            the same id.
        probability (`float`, *optional*): That the item shows the same thing as the picture that was searched for,
            0 to 1; `None` if texts were searched for, probabilities were not asked for, or the bank is not calibrated
            (see [`MemoryBank.calibrate`]).
        found_by (`str`, defaults to `"picture"`): What of the query found the item: `"picture"`, `"text"`,
            `"picture and text"` or `"vector"` by embeddings, `"words"` or `"picture and words"` by the words of its
            text.
    """

    item: MemoryItem
    score: float
    rank: int
    row: int | None = field(default=None, repr=False)
    bank: str | None = field(default=None, repr=False)
    probability: float | None = None
    found_by: str = "picture"
