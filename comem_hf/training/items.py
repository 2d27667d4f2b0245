"""Whether the memory items of training rows and the model go together."""

from collections.abc import Mapping
from typing import Any

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.training.data.dataset import MemoryDataset
from comem_hf.training.data.sample import TrainingSample

from .freezing import trained_parts


def check_items(model: CoMemForConditionalGeneration, dataset: Any, items_in_prompt: bool) -> None:
    """Refuse rows with items for a model that takes none, and items in the prompt where the memory encoder is trained.

    Rows of other data sets than lists and [`MemoryDataset`]s are not read in advance.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model about to be trained.
        dataset (`Any`): Its rows.
        items_in_prompt (`bool`): Whether the rows' items will be written into the prompts.

    Raises:
        ValueError: If they do not go together.
    """
    if items_in_prompt and needs_items(model):
        raise ValueError(
            f"`items_in_prompt` leaves no memory items from which {' and '.join(needs_items(model))} could learn: "
            "leave it out, or train only other parts."
        )
    if model.config.num_memory_tokens or items_in_prompt:
        return
    rows = dataset.samples if isinstance(dataset, MemoryDataset) else dataset if isinstance(dataset, list) else []
    for number, row in enumerate(rows, start=1):
        has_items = row.memories if isinstance(row, TrainingSample) else isinstance(row, Mapping) and _items_of(row)
        if has_items:
            name = row.name if isinstance(row, TrainingSample) else f"row {number}"
            raise ValueError(
                f"{name} has memory items, but the model takes none, as its `num_memory_tokens` is 0: leave them out, "
                "or have them written into the prompt (`items_in_prompt=True`, `--items-in-prompt`)."
            )


def needs_items(model: CoMemForConditionalGeneration) -> list[str]:
    """Return the trained parts that learn from memory items alone."""
    by_items = {"memory_encoder"} | ({"ffn_memory"} if model.config.ffn_source == "memory" else set())
    return [part for part in trained_parts(model) if part in by_items]


def _items_of(row: Mapping[str, Any]) -> Any:
    return row.get("memories") or row.get("knowledge_image") or row.get("knowledge_conversations")
