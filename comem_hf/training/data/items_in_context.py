"""A sample's memory items as plain prompt content, the way of retrieval-augmented generation (RAG)."""

from typing import Any

from .sample import TrainingSample


def items_in_context(sample: TrainingSample) -> TrainingSample:
    """Write a sample's memory items into its prompt, one user turn each in front of the question.

    This is how the published RAG baseline shows retrieved items: best first, the text and then the image, without
    assistant turns between.

    Args:
        sample (`TrainingSample`):
            A sample with memory items.

    Returns:
        `TrainingSample`: the same conversation without memory items; its images are those of the items, then its own.
    """
    turns: list[dict[str, Any]] = []
    images = []
    for item in sample.memories:
        content: list[dict[str, Any]] = [{"type": "text", "text": item.text}] if item.text else []
        if item.image is not None:
            content.append({"type": "image"})
            images.append(item.image)
        turns.append({"role": "user", "content": content})
    return TrainingSample(messages=turns + sample.messages, images=images + sample.images, name=sample.name)
