"""Whether the memory items of training rows and the model go together."""

from collections.abc import Callable
from typing import Any

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.training.data.dataset import MemoryDataset

from .freezing import PARTS_OF_ENCODER, trained_parts


def check_items(
    model: CoMemForConditionalGeneration, dataset: Any, items_in_prompt: bool, max_memories: int | None = None
) -> None:
    """Refuse rows with more items than the model takes, and items in the prompt where the memory encoder is trained.

    Rows of other data sets than a [`MemoryDataset`] are not read in advance.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model about to be trained.
        dataset ([`MemoryDataset`]): Its rows.
        items_in_prompt (`bool`): Whether the rows' items will be written into the prompts.
        max_memories (`int`, *optional*): Number of items that will be used per row; all by default.

    Raises:
        ValueError: If they do not go together.
    """
    if items_in_prompt and needs_items(model):
        raise ValueError(
            f"`items_in_prompt` leaves no memory items from which {' and '.join(needs_items(model))} could learn: "
            "leave it out, or train only other parts."
        )
    config = model.config
    if items_in_prompt or config.num_memory_tokens and config.max_items is None:
        return
    if not isinstance(dataset, MemoryDataset):
        return
    counts = dataset.item_counts
    if config.max_items is not None:
        used = counts if max_memories is None else counts.clip(max=max_memories)
        if used.max() > config.max_items:
            first = int((used > config.max_items).argmax())
            raise ValueError(
                f"{dataset.name_of(first)}: {used[first]} memory items need {used[first] * config.num_memory_tokens} "
                f"slots, but the model has {config.ffn_memory_config['num_slots']}, enough for {config.max_items}: "
                f"use only the first of each row (`max_memories={config.max_items}`, `--max-memories "
                f"{config.max_items}`), or build the model with a larger `num_slots`."
            )
    elif counts.any():
        raise ValueError(
            f"{dataset.name_of(int((counts > 0).argmax()))} has memory items, but the model takes none, as its "
            "`num_memory_tokens` is 0: leave them out, or have them written into the prompt (`items_in_prompt=True`, "
            "`--items-in-prompt`)."
        )


def check_has_items(
    model: CoMemForConditionalGeneration,
    dataset: Any,
    items_in_prompt: bool = False,
    write: Callable[[str], str] = str,
) -> None:
    """Refuse rows of which none has memory items, where there are trained parts that learn from these alone.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model about to be trained.
        dataset ([`MemoryDataset`]): Its rows; other data sets are not read in advance.
        items_in_prompt (`bool`, *optional*, defaults to `False`): Whether the rows' items will be written into the
            prompts.
        write (`Callable`, *optional*): Spelling of a part in the message.

    Raises:
        ValueError: If they do not go together.
    """
    if items_in_prompt or not isinstance(dataset, MemoryDataset) or dataset.item_counts.any():
        return
    learners = list(map(write, needs_items(model)))
    if learners:
        raise ValueError(
            f"No row of {dataset.name} has memory items (`memories`): there is nothing for {' and '.join(learners)} "
            "to learn; give rows with items, or train other parts (`train_only`, `--only`)."
        )


def needs_items(model: CoMemForConditionalGeneration) -> list[str]:
    """Return the trained parts that learn from memory items alone."""
    by_items = {"memory_encoder", *PARTS_OF_ENCODER} | (
        {"ffn_memory"} if model.config.ffn_source == "memory" else set()
    )
    return [part for part in trained_parts(model) if part in by_items]
