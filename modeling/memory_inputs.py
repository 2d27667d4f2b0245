"""The two forms of `memory_inputs`, their checks, and the grouping of encoded items by prompt."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import BatchFeature


class MemoryInputs(BatchFeature):
    """Memory of a batch of prompts, as items still to be encoded or as stored vectors.

    *Raw items*, as the processor makes them:
        `input_ids`, `attention_mask`, `mm_token_type_ids` of shape `(items, length)`, left-padded; `pixel_values`
        `(patches, patch size)` and `image_grid_thw` `(images, 3)` if any item has images, those of one item after
        those of the other; `item_counts` `(batch,)`, how many of the items belong to each prompt, in order. Optionally
        `item_index` of shape `(items of all prompts,)`, for items that several prompts share: which of the encoded
        ones each of the prompts' items is. `item_counts` then count its entries.
    *Stored*, as a memory bank keeps them:
        `memory_embeds` of shape `(batch, items, memory tokens, hidden)` and optionally `item_mask` `(batch, items)`,
        which is false where a prompt has fewer items than the one with the most items.

    Both may hold `num_memory_tokens`, how many vectors of each item are used, from the first on: a number, or one for
    each prompt in a tensor `(batch,)`. Stored vectors may themselves be fewer than the memory encoder makes.

    `to(device_or_dtype)` moves all tensors and casts the floating-point ones.
    """

    @property
    def is_stored(self) -> bool:
        """Whether these are memory vectors rather than items."""
        return "memory_embeds" in self


class CoMemBatchFeature(BatchFeature):
    """A processor's output, whose `to` reaches the tensors inside `memory_inputs` too."""

    def to(self, *args, **kwargs) -> "CoMemBatchFeature":
        super().to(*args, **kwargs)
        if isinstance(self.data.get("memory_inputs"), BatchFeature):
            self.data["memory_inputs"].to(*args, **kwargs)
        return self


def as_memory_inputs(value: Any, batch_size: int, config) -> MemoryInputs:
    """Check what a caller passed as `memory_inputs` and add the parts that may be left out.

    Args:
        value (mapping or `torch.Tensor`): Raw items or stored vectors; a bare tensor is taken as `memory_embeds`.
        batch_size (`int`): Number of prompts.
        config ([`CoMemConfig`]): For the sizes that stored vectors must have.

    Returns:
        [`MemoryInputs`]: In the stored form with `item_mask`, or in the raw form with `item_counts`.

    Raises:
        ValueError: If keys are missing, or if shapes and counts do not fit the batch or the model.
    """
    if isinstance(value, torch.Tensor):
        value = {"memory_embeds": value}
    if not isinstance(value, Mapping):
        raise ValueError(
            "`memory_inputs` must be the processor's or a bank's mapping, or a tensor of memory vectors, got "
            f"{type(value).__name__}."
        )
    memory = MemoryInputs(dict(value))
    if memory.is_stored:
        checked = _check_stored(memory, batch_size, config)
        most = checked["memory_embeds"].shape[2]
    else:
        checked, most = _check_counts(check_items(memory), batch_size), config.num_memory_tokens
    if memory.get("num_memory_tokens") is not None:
        checked["num_memory_tokens"] = _check_lengths(memory["num_memory_tokens"], batch_size, most)
    else:
        checked.pop("num_memory_tokens", None)
    return checked


def check_items(value: Any) -> MemoryInputs:
    """Check that a mapping holds raw items.

    Raises:
        ValueError: If the value is no mapping, if keys are missing, or if `item_index` names items that are not there.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"`memory_inputs` must be the processor's mapping of raw items, got {type(value).__name__}.")
    if "input_ids" not in value:
        raise ValueError(
            f"`memory_inputs` must hold `input_ids` (raw items) or `memory_embeds` (stored), got {sorted(value)}."
        )
    if value.get("attention_mask") is None:
        raise ValueError(f"`memory_inputs` with `input_ids` must hold `attention_mask` too, got {sorted(value)}.")
    if (value.get("pixel_values") is None) != (value.get("image_grid_thw") is None):
        raise ValueError(f"`pixel_values` and `image_grid_thw` of items belong together, got {sorted(value)}.")
    index = value.get("item_index")
    if index is None:
        return MemoryInputs(dict(value))
    index, items = torch.as_tensor(index), len(value["input_ids"])
    if index.ndim != 1 or index.is_floating_point() or index.dtype == torch.bool:
        raise ValueError(f"`item_index` must be a list of integers, got {index.tolist()}.")
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < items:
        raise ValueError(
            f"`item_index` must name the {items} memory items in `input_ids`, counted from 0, got {index.tolist()}."
        )
    return MemoryInputs({**value, "item_index": index})


def _check_stored(memory: MemoryInputs, batch_size: int, config) -> MemoryInputs:
    embeds = memory["memory_embeds"]
    if not isinstance(embeds, torch.Tensor):
        raise ValueError(f"`memory_embeds` must be a tensor, got {type(embeds).__name__}.")
    most = config.num_memory_tokens
    expected = f"(batch {batch_size}, items, memory tokens {most} or fewer, hidden {config.hidden_size})"
    if embeds.ndim != 4 or embeds.shape[0] != batch_size:
        raise ValueError(f"`memory_embeds` must have shape {expected}, got {tuple(embeds.shape)}.")
    if not 1 <= embeds.shape[2] <= most or embeds.shape[3] != config.hidden_size:
        raise ValueError(
            f"`memory_embeds` must have shape {expected}, got {tuple(embeds.shape)}: these vectors were made by "
            "another memory encoder; build them again with this model."
        )
    mask = memory.get("item_mask")
    if mask is None:
        mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
    mask = torch.as_tensor(mask)
    if mask.shape != embeds.shape[:2]:
        raise ValueError(f"`item_mask` must have shape {tuple(embeds.shape[:2])}, got {tuple(mask.shape)}.")
    mask = mask.bool()
    # Attention gives a masked vector the weight zero, but zero times NaN is NaN.
    embeds = embeds.masked_fill(~mask.to(embeds.device)[..., None, None], 0)
    if not embeds.isfinite().all():
        raise ValueError("`memory_embeds` must be finite, but hold NaN or infinity in items that `item_mask` keeps.")
    return MemoryInputs({"memory_embeds": embeds, "item_mask": mask})


def _check_lengths(value: Any, batch_size: int, most: int) -> torch.Tensor:
    lengths = torch.as_tensor(value)
    whole = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if not whole or lengths.shape not in ((), (batch_size,)) or (lengths < 1).any() or (lengths > most).any():
        raise ValueError(
            f"`num_memory_tokens` of `memory_inputs` must be a number from 1 to {most}, the vectors of an item, or "
            f"{batch_size} of them, one per prompt, got {lengths.tolist()}."
        )
    return lengths.expand(batch_size)


def _check_counts(memory: MemoryInputs, batch_size: int) -> MemoryInputs:
    num_items = len(memory["input_ids"] if memory.get("item_index") is None else memory["item_index"])
    counts = memory.get("item_counts")
    if counts is None:
        if batch_size != 1:
            raise ValueError(
                f"`item_counts` is needed to share {num_items} memory items among a batch of {batch_size} prompts."
            )
        counts = [num_items]
    counts = torch.as_tensor(counts)
    if counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool:
        raise ValueError(f"`item_counts` must be integers, got {counts.tolist()}.")
    if counts.shape != (batch_size,) or (counts < 0).any() or int(counts.sum()) != num_items:
        raise ValueError(
            f"`item_counts` must be {batch_size} counts, one per prompt, that add up to the {num_items} memory items "
            f"in `{'input_ids' if memory.get('item_index') is None else 'item_index'}`, got {counts.tolist()}."
        )
    memory["item_counts"] = counts
    return memory


def pad_items(embeds: torch.Tensor, item_counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Group encoded items by prompt.

    Args:
        embeds (`torch.Tensor` of shape `(items, memory tokens, hidden)`): Memory vectors of all items, in order.
        item_counts (`torch.Tensor` of shape `(batch,)`): Number of items per prompt.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]`: `memory_embeds` of shape `(batch, most items, memory tokens, hidden)`,
        zero where a prompt has fewer items, and the boolean `item_mask` of shape `(batch, most items)`.
    """
    counts = item_counts.to(embeds.device)
    most = int(counts.max())
    mask = torch.arange(most, device=embeds.device) < counts[:, None]
    padded = embeds.new_zeros((*mask.shape, *embeds.shape[1:]))
    padded = padded.masked_scatter(mask[..., None, None], embeds)
    return padded, mask


__all__ = ["CoMemBatchFeature", "MemoryInputs", "as_memory_inputs", "check_items", "pad_items"]
