"""Collator of rows into a batch of model inputs with labels."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import PIL.Image
import torch

from comem_hf.modeling import CoMemProcessor
from comem_hf.modeling.memory_item import numbers_of_equal_items
from comem_hf.training.data.chat import ChatEncoder
from comem_hf.training.data.items_in_context import items_in_context
from comem_hf.training.data.length import LengthLimit
from comem_hf.training.data.sample import TrainingSample

from .drawing import Drawing
from .reconstruction import reconstruction_samples
from .whole_rows import WholeRows


class MemoryCollator:
    """Collator of rows into a padded batch.

    Tokenization and image processing happen here, and so in the data loader's workers. The same collator trains a
    plain backbone: rows without memories give a batch without `memory_inputs`.

    A row of a [`MemoryDataset`] or [`MemoryStream`] of which a picture turns out to be damaged, or that cannot be cut
    to `max_length`, is replaced by the next row of the data that is whole, among the 16 after it. That depends on the
    data alone, so that a resumed training is the same; `rows.num_replaced` counts it. Other rows raise an error.

    Args:
        processor ([`CoMemProcessor`]): The processor of the model.
        max_memories (`int`, *optional*): Number of items used per row, from the first on; all by default. The
            published training uses 3.
        min_memories (`int`, *optional*): Least number of items where it is drawn for each row (see [`Drawing`]).
        shuffle_memories (`bool`, *optional*, defaults to `False`): Whether the items of a row get a random order.
        nested_memory_lengths (`Sequence[int]`, *optional*): Numbers of vectors, of which one is drawn for each row.
        max_length (`int`, *optional*): Most tokens of a row's prompt and answers together, those of its pictures
            included; longer rows are cut as [`LengthLimit`] says. By default nothing is cut.
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
        with_names (`bool`, *optional*, defaults to `False`): Also return `names`, the names of the rows, which are no
            input of the model.

    Raises:
        ValueError: If `max_memories` is negative, or `max_length` not positive.
    """

    def __init__(
        self,
        processor: CoMemProcessor,
        *,
        max_memories: int | None = None,
        min_memories: int | None = None,
        shuffle_memories: bool = False,
        nested_memory_lengths: Sequence[int] | None = None,
        max_length: int | None = None,
        seed: int = 0,
        with_teacher: bool = False,
        with_reconstruction: bool = False,
        with_true_items: bool = False,
        items_in_prompt: bool = False,
        to_context: Callable[[TrainingSample], TrainingSample] = items_in_context,
        with_names: bool = False,
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
        self.rows = WholeRows(None if max_length is None else LengthLimit(self.encoder, max_length))
        self.with_teacher = with_teacher
        self.with_reconstruction = with_reconstruction
        self.with_true_items = with_true_items
        self.items_in_prompt = items_in_prompt
        self.to_context = to_context
        self.with_names = with_names

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
            `image_grid_thw` if there are query images, `memory_inputs` (raw form) if there are items, with an
            `item_index` if some are equal, and `teacher_inputs`, `reconstruction_inputs`, `true_items` and `names` if
            they are asked for.

        Raises:
            ValueError: If a picture is damaged, or a row too long, and no row can take its place.
        """
        pictures: dict[str, PIL.Image.Image] = {}
        samples = [TrainingSample.from_row(row, name=f"row {i} of the batch") for i, row in enumerate(rows)]
        drawn = [self.rows.first_usable(sample, lambda row: self._draw(row, pictures)) for sample in samples]
        batch = dict(self.encoder([row.sample for row in drawn]))
        if any(row.sample.memories for row in drawn):
            batch["memory_inputs"] = self._memory_inputs(drawn)
        if self.with_teacher:
            batch["teacher_inputs"] = self.encoder([self.to_context(row.in_order()) for row in drawn])
        if self.with_reconstruction:
            batch["reconstruction_inputs"] = self._reconstruct(drawn)
        if self.with_true_items:
            batch["true_items"] = _true_items(drawn)
        if self.with_names:
            batch["names"] = [row.sample.name for row in drawn]
        return batch

    def _draw(self, sample: TrainingSample, pictures: dict[str, PIL.Image.Image]) -> "DrawnRow":
        """Choose among the items of a sample, and open the pictures."""
        order, length = self.drawing(sample)
        asked = replace(sample, memories=[sample.memories[number] for number in order])
        if not self.items_in_prompt or not order:
            asked = self.rows.ready(asked, pictures)
            return DrawnRow(asked, asked, order, length)
        return DrawnRow(self.rows.ready(self.to_context(asked), pictures), asked, order, length)

    def _memory_inputs(self, drawn: list["DrawnRow"]) -> Any:
        inputs = self.processor.process_memories([row.sample.memories for row in drawn], once=True)
        if self.drawing.lengths is not None:
            inputs["num_memory_tokens"] = torch.tensor([row.length for row in drawn])
        return inputs

    def _reconstruct(self, drawn: list["DrawnRow"]) -> dict[str, Any]:
        """Encode, for each row whose first item has a text, the request to repeat it; `rows` are their numbers."""
        samples, rows = reconstruction_samples([row.in_order() for row in drawn], self.processor)
        batch = dict(self.encoder(samples))
        if any(sample.memories for sample in samples):
            of_row = zip(samples, rows, strict=True)
            repeated = [DrawnRow(sample, sample, [0], drawn[row].length) for sample, row in of_row]
            batch["memory_inputs"] = self._memory_inputs(repeated)
        else:  # all processes must run the model equally often
            batch["labels"] = torch.full_like(batch["labels"], -100)
        return {**batch, "rows": torch.tensor(rows)}


class DrawnRow(NamedTuple):
    """A row as the model gets it.

    Args:
        sample ([`TrainingSample`]): The sample as the model gets it, with open pictures.
        asked ([`TrainingSample`]): The sample with the items that were drawn; the same, unless items are written into
            prompts.
        order (`list[int]`): The places of these items in the row; 0 is the true one.
        length (`int`, *optional*): Number of vectors of each item; `None` for all.
    """

    sample: TrainingSample
    asked: TrainingSample
    order: list[int]
    length: int | None

    def in_order(self) -> TrainingSample:
        """Return the sample with its items in the order of the row, the true one first."""
        pairs = sorted(zip(self.order, self.asked.memories, strict=True), key=lambda pair: pair[0])
        return replace(self.asked, memories=[item for _, item in pairs])


def _true_items(drawn: list[DrawnRow]) -> torch.Tensor:
    """Return the place of each row's first item and the number of that item, `(batch, 2)`; -1 without items."""
    found = [row.asked.memories[row.order.index(0)] for row in drawn if row.order]
    numbers = iter(numbers_of_equal_items([item.text for item in found], [item.load_images() for item in found]))
    return torch.tensor([(row.order.index(0), next(numbers)) if row.order else (-1, -1) for row in drawn])


__all__ = ["MemoryCollator"]
