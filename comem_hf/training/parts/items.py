"""Whether the memory items of training rows and the model go together."""

from collections.abc import Mapping
from typing import Any

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.training.data.dataset import MemoryDataset
from comem_hf.training.data.sample import TrainingSample

from .freezing import PARTS_OF_ENCODER, trained_parts


def check_items(
    model: CoMemForConditionalGeneration, dataset: Any, items_in_prompt: bool, max_memories: int | None = None
) -> None:
    """Refuse rows with more items than the model takes, and items in the prompt where the memory encoder is trained.

    Rows of other data sets than lists and [`MemoryDataset`]s are not read in advance.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model about to be trained.
        dataset (`Any`): Its rows.
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
    rows = dataset.samples if isinstance(dataset, MemoryDataset) else dataset if isinstance(dataset, list) else []
    for number, row in enumerate(rows, start=1):
        name = row.name if isinstance(row, TrainingSample) else f"row {number}"
        count = _count_items(row)
        if config.max_items is not None:
            used = count if max_memories is None else min(count, max_memories)
            if used > config.max_items:
                raise ValueError(
                    f"{name}: {used} memory items need {used * config.num_memory_tokens} slots, "
                    f"but the model has {config.ffn_memory_config['num_slots']}, enough for {config.max_items}: use "
                    f"only the first of each row (`max_memories={config.max_items}`, `--max-memories "
                    f"{config.max_items}`), or build the model with a larger `num_slots`."
                )
        elif count:
            raise ValueError(
                f"{name} has memory items, but the model takes none, as its `num_memory_tokens` is 0: leave them out, "
                "or have them written into the prompt (`items_in_prompt=True`, `--items-in-prompt`)."
            )


def needs_items(model: CoMemForConditionalGeneration) -> list[str]:
    """Return the trained parts that learn from memory items alone."""
    by_items = {"memory_encoder", *PARTS_OF_ENCODER} | (
        {"ffn_memory"} if model.config.ffn_source == "memory" else set()
    )
    return [part for part in trained_parts(model) if part in by_items]


def _count_items(row: Any) -> int:
    if isinstance(row, TrainingSample):
        return len(row.memories)
    if not isinstance(row, Mapping):
        return 0
    items = row.get("memories") or row.get("knowledge_image")
    if not items:
        return len(row.get("knowledge_conversations") or ()) // 2  # pairs of turns
    return len(items) if isinstance(items, list | tuple) else 1
