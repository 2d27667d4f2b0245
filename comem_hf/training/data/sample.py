"""One training sample."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.training.data.rows.read import ReadRow, RowReader


NUM_STAND_INS = 16
"""Number of rows after one of which the first that is whole stands in for it."""


@dataclass
class TrainingSample:
    """A conversation whose assistant turns are learned, and the memory items for it.

    Args:
        messages (`list[dict]`): The conversation in chat-template form: turns
            `{"role": "user" | "assistant", "content": [...]}` that alternate, the user first and the assistant last,
            after a turn of the `"system"` if there is one.
        images (`list`, *optional*, defaults to `[]`): The query images, in the forms that [`load_image`] takes and in
            the order in which `messages` shows them.
        memories (`list[MemoryItem]`, *optional*, defaults to `[]`): The memory items, best first.
        name (`str`, *optional*, defaults to `"the sample"`): Name of the sample in error messages.
        stand_ins (`Iterable[TrainingSample]`, *optional*): Samples of which the first that is whole takes the place of
            this one, should it turn out in a batch that one of its pictures is damaged.
        epoch (`int`, *optional*): Which pass over a stream the sample is of, from 0.
    """

    messages: list[dict[str, Any]]
    images: list[Any] = field(default_factory=list)
    memories: list[MemoryItem] = field(default_factory=list)
    name: str = "the sample"
    stand_ins: "Iterable[TrainingSample]" = field(default=(), repr=False, compare=False)
    epoch: int | None = None

    @classmethod
    def from_row(
        cls,
        row: "Mapping[str, Any] | TrainingSample",
        *,
        base_dir: str | Path | None = None,
        name: str = "the sample",
        ignore: Iterable[str] = (),
    ) -> "TrainingSample":
        """Read a row in any of the accepted forms, which are told apart by their keys.

        One question: `{"image": image | list | None, "question": str, "answer": str, "memories": [...]}`.
        ShareGPT, LLaVA: `{"image": ..., "conversations": [{"from": "human" | "gpt", "value": str}, ...]}`.
        OpenAI, TRL, LLaMA-Factory: `{"messages": [{"role": "user" | "assistant", "content": str | parts}, ...]}`, with
        pictures in the parts or in `images`.

        A conversation may begin with a turn of the system, or have its text in `system`. `<image>` in a human turn or
        question marks the place of an image (default: before the first question). `memories` goes with every form: a
        memory is a [`MemoryItem`] or `{"image": image | None, "text": str | None}`. An image is a path, or the picture
        in any form that [`load_image`] takes.

        The published CoMEM form replaces `memories` by `knowledge_image` (n images) and `knowledge_conversations`
        (2n turns: human, gpt; the text of an item is its gpt turn); there, every message is cut to 5,000 characters,
        as in the published training.

        Args:
            row (`Mapping` or `TrainingSample`): The row; a sample is returned as it is.
            base_dir (`str` or `Path`, *optional*): The folder that relative image paths start from.
            name (`str`, *optional*, defaults to `"the sample"`): Name of the row in error messages, for example
                `"train.jsonl, row 3"`.
            ignore (`Iterable[str]`, *optional*): Keys that are not read, whatever their names.

        Returns:
            `TrainingSample`: The sample; images are not opened yet.

        Raises:
            ValueError: If a field is missing, empty or of the wrong kind, or a key is nearly one that is read; the
                message names the row and the field.
        """
        if isinstance(row, TrainingSample):
            return row
        return cls.of(RowReader(base_dir, ignore)(row, name), name)

    @classmethod
    def of(cls, read: ReadRow, name: str) -> "TrainingSample":
        """Make a sample of what a row says."""
        return cls(messages=read.messages, images=read.images, memories=read.memories, name=name)
