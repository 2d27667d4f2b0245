"""Collator of rows into a batch of model inputs with labels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from torch.utils.data import get_worker_info
from transformers.utils import logging

from comem_hf.modeling import CoMemProcessor
from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, load_image

from .chat import ChatEncoder
from .items_in_context import items_in_context
from .length import LengthLimit
from .sample import TrainingSample


logger = logging.get_logger(__name__)

MOST_WORKERS = 256
LONGEST_PATH = 4096  # longer strings are pictures in base64


class UnusableRowError(ValueError):
    """A picture of a row is damaged, or the row cannot be cut to the length that is allowed."""


class MemoryCollator:
    """Collator of rows into a padded batch.

    Tokenization and image processing happen here, and so in the data loader's workers. The same collator trains a
    plain backbone: rows without memories give a batch without `memory_inputs`.

    A row of a [`MemoryDataset`] or [`MemoryStream`] of which a picture turns out to be damaged, or that cannot be cut
    to `max_length`, is replaced by the next row of the data that is whole, among the 16 after it. That depends on the
    data alone, so that a resumed training is the same; `num_replaced` counts it. Other rows raise an error.

    Args:
        processor ([`CoMemProcessor`]): The processor of the model.
        max_memories (`int`, *optional*): Number of items used per row, from the first on; all by default. The
            published training uses 3.
        max_length (`int`, *optional*): Most tokens of a row's prompt and answers together, those of its pictures
            included; longer rows are cut as [`LengthLimit`] says. By default nothing is cut.
        with_teacher (`bool`, *optional*, defaults to `False`): Also return `teacher_inputs`: the same batch with the
            items' text and images in the prompt, for distillation.
        items_in_prompt (`bool`, *optional*, defaults to `False`): Write the items into the prompts, for a model that
            takes no memory items; then there are no `memory_inputs`.
        to_context (`Callable[[TrainingSample], TrainingSample]`, *optional*, defaults to [`items_in_context`]): The
            function that writes a sample's items into its prompt, for the teacher or with `items_in_prompt`.

    Raises:
        ValueError: If `max_memories` is negative, or `max_length` not positive.
    """

    def __init__(
        self,
        processor: CoMemProcessor,
        *,
        max_memories: int | None = None,
        max_length: int | None = None,
        with_teacher: bool = False,
        items_in_prompt: bool = False,
        to_context: Callable[[TrainingSample], TrainingSample] = items_in_context,
    ):
        if max_memories is not None and max_memories < 0:
            raise ValueError(f"`max_memories` must be a number of items or None for all, got {max_memories!r}.")
        self.processor = processor
        self.encoder = ChatEncoder(processor)
        self.max_memories = max_memories
        self.limit = None if max_length is None else LengthLimit(self.encoder, max_length)
        self.with_teacher = with_teacher
        self.items_in_prompt = items_in_prompt
        self.to_context = to_context
        # Of the main process and of each worker, which write to it without waiting for each other.
        self._counts = torch.zeros(MOST_WORKERS, 2, dtype=torch.long).share_memory_()

    @property
    def num_replaced(self) -> int:
        """How often a row had to be replaced so far, in this process and its workers."""
        return int(self._counts[:, 0].sum())

    @property
    def num_cut(self) -> int:
        """How often a row was cut to `max_length` so far, in this process and its workers."""
        return int(self._counts[:, 1].sum())

    def __call__(self, rows: list[Any]) -> dict[str, Any]:
        """Encode a batch.

        Args:
            rows (`list`): [`TrainingSample`]s, or rows that [`TrainingSample.from_row`] reads.

        Returns:
            `dict`: `input_ids`, `attention_mask`, `mm_token_type_ids` and `labels`, all (batch, length) and
            left-padded; labels are -100 except on answers and the ends of their turns. Also `pixel_values` and
            `image_grid_thw` if there are query images, `memory_inputs` (raw form) if there are items, with an
            `item_index` if some are equal, `teacher_inputs` if `with_teacher`.

        Raises:
            ValueError: If a picture is damaged, or a row too long, and no row can take its place.
        """
        pictures: dict[str, PIL.Image.Image] = {}
        samples = [self._whole(self._sample(row, i), i, pictures) for i, row in enumerate(rows)]
        batch = dict(self.encoder(samples))
        if any(sample.memories for sample in samples):
            batch["memory_inputs"] = self.processor.process_memories(
                [sample.memories for sample in samples], once=True
            )
        if self.with_teacher:
            batch["teacher_inputs"] = self.encoder([self.to_context(sample) for sample in samples])
        return batch

    def _sample(self, row: Any, index: int) -> TrainingSample:
        """Read a row and choose among its items."""
        sample = TrainingSample.from_row(row, name=f"row {index} of the batch")
        if self.max_memories is not None and len(sample.memories) > self.max_memories:
            sample = replace(sample, memories=sample.memories[: self.max_memories])
        if not self.items_in_prompt or not sample.memories:
            return sample
        return replace(self.to_context(sample), stand_ins=sample.stand_ins)

    def _whole(self, sample: TrainingSample, index: int, pictures: dict[str, PIL.Image.Image]) -> TrainingSample:
        """Open the pictures of a sample and cut it, or else of the first of its stand-ins with which that succeeds."""
        try:
            return self._ready(sample, pictures)
        except UnusableRowError as error:
            for other in sample.stand_ins:
                try:
                    ready = self._ready(self._sample(other, index), pictures)
                except UnusableRowError:
                    continue
                self._count(0)
                logger.warning(f"{str(error).rstrip('.')}; {other.name} stands in for it.")
                return ready
            raise

    def _ready(self, sample: TrainingSample, pictures: dict[str, PIL.Image.Image]) -> TrainingSample:
        images = [_opened(image, sample.name, pictures) for image in sample.images]
        memories = [
            item if item.image is None else replace(item, image=_opened(item.image, sample.name, pictures))
            for item in sample.memories
        ]
        ready = replace(sample, images=images, memories=memories)
        if self.limit is None:
            return ready
        cut = self.limit.fit(ready, [image.size for image in images])
        if cut is None:
            raise UnusableRowError(
                f"{sample.name}: its pictures and answers alone are longer than `max_length` {self.limit.max_length}."
            )
        if cut is not ready:
            self._count(1)
        return cut

    def _count(self, what: int) -> None:
        worker = get_worker_info()
        self._counts[0 if worker is None else 1 + worker.id % (MOST_WORKERS - 1), what] += 1


def _opened(image: Any, name: str, pictures: dict[str, PIL.Image.Image]) -> PIL.Image.Image:
    """Open a picture; a file that occurs in several places of a batch is opened once."""
    key = str(image) if isinstance(image, str | Path) and len(str(image)) < LONGEST_PATH else None
    if key not in pictures or key is None:
        try:
            picture = load_image(image, max_aspect_ratio=MAX_ASPECT_RATIO)
        except ValueError as error:
            raise UnusableRowError(f"{name}: {error}") from error
        if key is None:
            return picture
        pictures[key] = picture
    return pictures[key]
