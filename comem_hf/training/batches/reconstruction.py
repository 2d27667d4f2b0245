"""Requests to repeat an item from its memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from comem_hf.modeling import CoMemProcessor, MemoryItem

from .drawing import Conversation


REQUEST = "Repeat the text of the item."

Sample = TypeVar("Sample", bound=Conversation)


def reconstruction_samples(samples: Sequence[Sample], processor: CoMemProcessor) -> tuple[list[Sample], list[int]]:
    """Return a conversation for each sample whose first item has a text: a request to repeat it, and that text.

    The text is the one that the memory encoder reads, cut and without special tokens. The item is the only memory, and
    there is no picture in the prompt.

    Args:
        samples (`Sequence[TrainingSample]`): The samples.
        processor ([`CoMemProcessor`]): The processor of the model.

    Returns:
        `tuple[list[TrainingSample], list[int]]`: The conversations, and the numbers of their samples; a single
        conversation without memory and with no text to learn, of sample 0, if no first item has a text.
    """
    found, rows = [], []
    for row, sample in enumerate(samples):
        text = processor.item_text(sample.memories[0]).strip() if sample.memories else ""
        if text:
            found.append(_conversation(sample, text, sample.memories[:1]))
            rows.append(row)
    if not found:
        return [_conversation(samples[0], "", [])], [0]
    return found, rows


def _conversation(sample: Sample, text: str, memories: list[MemoryItem]) -> Sample:
    turns = [("user", REQUEST), ("assistant", text)]
    messages = [{"role": role, "content": [{"type": "text", "text": words}]} for role, words in turns]
    return replace(sample, messages=messages, images=[], memories=memories)
