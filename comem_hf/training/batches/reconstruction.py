"""Requests to repeat an item from its memory."""

from collections.abc import Sequence
from dataclasses import replace

from comem_hf.modeling import CoMemProcessor, MemoryItem
from comem_hf.training.data.sample import TrainingSample


REQUEST = "Repeat the text of the item."


def reconstruction_samples(
    samples: Sequence[TrainingSample], processor: CoMemProcessor
) -> tuple[list[TrainingSample], list[int]]:
    """Return a conversation for each sample whose first item has a text: a request to repeat it, and that text.

    The text is the one that the memory encoder reads, cut and without special tokens. The item is the only memory, and
    there is no picture in the prompt.

    Args:
        samples (`Sequence[TrainingSample]`): The samples.
        processor ([`CoMemProcessor`]): The processor of the model.

    Returns:
        `tuple[list[TrainingSample], list[int]]`: The conversations, and the numbers of their samples; a single
        conversation without memory, of sample 0, if no first item has a text.
    """
    found, rows = [], []
    for row, sample in enumerate(samples):
        text = processor.item_text(sample.memories[0]).strip() if sample.memories else ""
        if text:
            found.append(_conversation(sample, text, sample.memories[:1]))
            rows.append(row)
    if not found:
        return [_conversation(samples[0], REQUEST, [])], [0]  # whose labels the collator leaves out
    return found, rows


def _conversation(sample: TrainingSample, text: str, memories: list[MemoryItem]) -> TrainingSample:
    turns = [("user", REQUEST), ("assistant", text)]
    messages = [{"role": role, "content": [{"type": "text", "text": words}]} for role, words in turns]
    return replace(sample, messages=messages, images=[], memories=memories)
