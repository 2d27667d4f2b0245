"""Collator of rows into a batch of model inputs with labels."""

from collections.abc import Callable
from typing import Any

from comem_hf.modeling import CoMemProcessor

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
        with_teacher (`bool`, *optional*, defaults to `False`): Also return `teacher_inputs`: the same batch with the
            items' text and images in the prompt, for distillation.
        items_in_prompt (`bool`, *optional*, defaults to `False`): Write the items into the prompts, for a model that
            takes no memory items; then there are no `memory_inputs`.
        to_context (`Callable[[TrainingSample], TrainingSample]`, *optional*, defaults to [`items_in_context`]): The
            function that writes a sample's items into its prompt, for the teacher or with `items_in_prompt`.
        with_names (`bool`, *optional*, defaults to `False`): Also return `names`, the names of the rows, which are no
            input of the model.

    Raises:
        ValueError: If `max_memories` is negative.
    """

    def __init__(
        self,
        processor: CoMemProcessor,
        *,
        max_memories: int | None = None,
        with_teacher: bool = False,
        items_in_prompt: bool = False,
        to_context: Callable[[TrainingSample], TrainingSample] = items_in_context,
        with_names: bool = False,
    ):
        if max_memories is not None and max_memories < 0:
            raise ValueError(f"`max_memories` must be a number of items or None for all, got {max_memories!r}.")
        self.processor = processor
        self.encoder = ChatEncoder(processor)
        self.max_memories = max_memories
        self.with_teacher = with_teacher
        self.items_in_prompt = items_in_prompt
        self.to_context = to_context
        self.with_names = with_names

    def __call__(self, rows: list[Any]) -> dict[str, Any]:
        """Encode a batch.

        Args:
            rows (`list`): [`TrainingSample`]s, or rows that [`TrainingSample.from_row`] reads.

        Returns:
            `dict`: `input_ids`, `attention_mask`, `mm_token_type_ids` and `labels`, all (batch, length) and
            left-padded; labels are -100 except on answers and the ends of their turns. Also `pixel_values` and
            `image_grid_thw` if there are query images, `memory_inputs` (raw form) if there are items, `teacher_inputs`
            if `with_teacher`, and `names` if `with_names`.
        """
        samples = [self._sample(row, i) for i, row in enumerate(rows)]
        batch = dict(self.encoder(samples))
        if any(sample.memories for sample in samples):
            batch["memory_inputs"] = self.processor.process_memories([sample.memories for sample in samples])
        if self.with_teacher:
            batch["teacher_inputs"] = self.encoder([self.to_context(sample) for sample in samples])
        if self.with_names:
            batch["names"] = [sample.name for sample in samples]
        return batch

    def _sample(self, row: Any, index: int) -> TrainingSample:
        sample = TrainingSample.from_row(row, name=f"row {index} of the batch")
        if self.max_memories is not None and len(sample.memories) > self.max_memories:
            items = sample.memories[: self.max_memories]
            sample = TrainingSample(sample.messages, sample.images, items, sample.name)
        return self.to_context(sample) if self.items_in_prompt and sample.memories else sample
