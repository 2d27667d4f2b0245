"""From hits to the model's `memory_inputs`."""

from collections.abc import Sequence

import torch

from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.format.vectors import MemoryVectors, stored_tokens
from comem_hf.modeling.memory_inputs import MemoryInputs, pad_items

from .hit import MemoryHit
from .item_rows import ItemRows


def stored_memory_inputs(
    hits: Sequence[Sequence[MemoryHit | str]],
    rows: ItemRows,
    items: StoredItems,
    vectors: MemoryVectors,
    dtype: torch.dtype | None = None,
    num_memory_tokens: int | None = None,
) -> MemoryInputs:
    """See [`MemoryBank.memory_inputs`]."""
    if isinstance(hits, (str, MemoryHit)) or any(isinstance(sample, (str, MemoryHit)) for sample in hits):
        raise ValueError("`hits` must be a list with one list of hits per sample: `memory_inputs([hits])`.")
    if len(hits) == 0:
        raise ValueError("`hits` must have one list per sample, got none; a sample without hits is an empty list.")
    count = stored_tokens(num_memory_tokens, vectors.config.num_memory_tokens)
    flat = [rows.row(hit) for sample in hits for hit in sample]
    memory = vectors.read(flat)[:, :count]
    finite = torch.isfinite(memory).flatten(1).all(dim=1)
    if not finite.all():
        row = flat[finite.tolist().index(False)]
        raise ValueError(f"Bank item {items.read([row])[0].id!r} (row {row}) has stored vectors that are not finite.")
    counts = torch.tensor([len(sample) for sample in hits])
    memory_embeds, item_mask = pad_items(memory.to(dtype or memory.dtype), counts)
    return MemoryInputs({"memory_embeds": memory_embeds, "item_mask": item_mask})
