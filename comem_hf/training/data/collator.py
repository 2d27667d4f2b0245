"""Collator of rows into a batch of model inputs with labels."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from comem_hf.modeling import CoMemProcessor, MemoryItem
from comem_hf.training.batches.drawing import Drawing, picture_name
from comem_hf.training.batches.reconstruction import reconstruction_samples

from .chat import ChatEncoder
from .items_in_context import items_in_context
from .sample import TrainingSample


class MemoryCollator:
    """Collator of rows into a padded batch.

    Tokenization and image processing happen here, and so in the data loader's workers. The same collator trains a
    plain backbone: rows without memories give a batch without `memory_inputs`.

    Args:
        processor ([`CoMemProcessor`]): The processor of the model.
        max_memories (`int`, *optional*): Number of items used per row, from the first on; all by default. The
            published training uses 3.
        min_memories (`int`, *optional*): Least number of items where it is drawn for each row (see [`Drawing`]).
        shuffle_memories (`bool`, *optional*, defaults to `False`): Whether the items of a row get a random order.
        nested_memory_lengths (`Sequence[int]`, *optional*): Numbers of vectors, of which one is drawn for each row.
        seed (`int`, *optional*, defaults to `0`): Seed of what is drawn.
        with_teacher (`bool`, *optional*, defaults to `False`): Also return `teacher_inputs`: the same batch with the
            items' text and images in the prompt, in the order of the rows, for distillation.
        with_reconstruction (`bool`, *optional*, defaults to `False`): Also return `reconstruction_inputs`: for each
            row, its first item alone as memory, and the request to repeat its text.
        with_true_items (`bool`, *optional*, defaults to `False`): Also return `true_items`, for the contrastive loss:
            the place of each row's first item among its items, and a number that rows with the same one share.
        items_in_prompt (`bool`, *optional*, defaults to `False`): Write the items into the prompts, for a model that
            takes no memory items; then there are no `memory_inputs`.
        to_context (`Callable[[TrainingSample], TrainingSample]`, *optional*, defaults to [`items_in_context`]): The
            function that writes a sample's items into its prompt, for the teacher or with `items_in_prompt`.

    Raises:
        ValueError: If `max_memories` is negative.
    """

    def __init__(
        self,
        processor: CoMemProcessor,
        *,
        max_memories: int | None = None,
        min_memories: int | None = None,
        shuffle_memories: bool = False,
        nested_memory_lengths: Sequence[int] | None = None,
        seed: int = 0,
        with_teacher: bool = False,
        with_reconstruction: bool = False,
        with_true_items: bool = False,
        items_in_prompt: bool = False,
        to_context: Callable[[TrainingSample], TrainingSample] = items_in_context,
    ):
        if max_memories is not None and max_memories < 0:
            raise ValueError(f"`max_memories` must be a number of items or None for all, got {max_memories!r}.")
        self.processor = processor
        self.encoder = ChatEncoder(processor)
        self.drawing = Drawing(
            seed,
            min_memories=min_memories,
            max_memories=max_memories,
            shuffle=shuffle_memories,
            lengths=nested_memory_lengths,
        )
        self.with_teacher = with_teacher
        self.with_reconstruction = with_reconstruction
        self.with_true_items = with_true_items
        self.items_in_prompt = items_in_prompt
        self.to_context = to_context

    def for_evaluation(self) -> "MemoryCollator":
        """Return a collator whose batches have what the loss of an evaluation needs, the same at every evaluation."""
        collator = copy.copy(self)
        collator.drawing = self.drawing.of_evaluation()
        collator.with_teacher = collator.with_reconstruction = collator.with_true_items = False
        return collator

    def __call__(self, rows: list[Any]) -> dict[str, Any]:
        """Encode a batch.

        Args:
            rows (`list`): [`TrainingSample`]s, or rows that [`TrainingSample.from_row`] reads.

        Returns:
            `dict`: `input_ids`, `attention_mask`, `mm_token_type_ids` and `labels`, all (batch, length) and
            left-padded; labels are -100 except on answers and the ends of their turns. Also `pixel_values` and
            `image_grid_thw` if there are query images, `memory_inputs` (raw form) if there are items, and
            `teacher_inputs`, `reconstruction_inputs` and `true_items` if they are asked for.
        """
        whole = [TrainingSample.from_row(row, name=f"row {i} of the batch") for i, row in enumerate(rows)]
        drawn = [self.drawing(sample) for sample in whole]
        orders = [order for order, _ in drawn]
        samples = list(map(_with_items, whole, orders))
        if self.items_in_prompt:
            samples = [self.to_context(sample) if sample.memories else sample for sample in samples]
        batch = dict(self.encoder(samples))
        if any(sample.memories for sample in samples):
            batch["memory_inputs"] = self.processor.process_memories([sample.memories for sample in samples])
            if self.drawing.lengths is not None:
                batch["memory_inputs"]["num_memory_tokens"] = torch.tensor([length for _, length in drawn])
        if self.with_teacher:
            in_order = map(_with_items, whole, map(sorted, orders))
            batch["teacher_inputs"] = self.encoder([self.to_context(sample) for sample in in_order])
        if self.with_reconstruction:
            batch["reconstruction_inputs"] = self._reconstruct(whole, [length for _, length in drawn])
        if self.with_true_items:
            batch["true_items"] = _true_items(whole, orders)
        return batch

    def _reconstruct(self, samples: list[TrainingSample], lengths: list[int | None]) -> dict[str, Any]:
        """Encode, for each sample whose first item has a text, the request to repeat it; `rows` are their numbers."""
        found, rows = reconstruction_samples(samples, self.processor)
        batch = dict(self.encoder(found))
        items = [sample.memories for sample in found]
        if any(items):
            batch["memory_inputs"] = self.processor.process_memories(items)
            if self.drawing.lengths is not None:
                batch["memory_inputs"]["num_memory_tokens"] = torch.tensor([lengths[row] for row in rows])
        else:  # all processes must run the model equally often
            batch["labels"] = torch.full_like(batch["labels"], -100)
        return {**batch, "rows": torch.tensor(rows)}


def _with_items(sample: TrainingSample, order: Sequence[int]) -> TrainingSample:
    """Return a sample with some of its items, in the given order."""
    return replace(sample, memories=[sample.memories[number] for number in order])


def _true_items(samples: list[TrainingSample], orders: list[list[int]]) -> torch.Tensor:
    """Return the place of each sample's first item and the number of that item, `(batch, 2)`; -1 without items."""
    numbers: dict[Any, int] = {}
    pairs = []
    for sample, order in zip(samples, orders, strict=True):
        if not order:
            pairs.append((-1, -1))
            continue
        pairs.append((order.index(0), numbers.setdefault(_key(sample.memories[0]), len(numbers))))
    return torch.tensor(pairs)


def _key(item: MemoryItem) -> Any:
    return item.id, item.text, picture_name(item.image) or id(item.image)
