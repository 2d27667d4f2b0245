"""Memory items of a sample as plain prompt content, as in retrieval-augmented generation (RAG)."""

from comem_hf.rag import item_turns

from .sample import TrainingSample


def items_in_context(sample: TrainingSample, *, picture_first: bool = False) -> TrainingSample:
    """Write a sample's memory items into its prompt, one user turn each in front of the conversation.

    By default the text comes before the picture, as in the published RAG baseline.

    Args:
        sample (`TrainingSample`): A sample with memory items.
        picture_first (`bool`, *optional*, defaults to `False`): Whether the picture comes before the text; see
            [`item_content`].

    Returns:
        `TrainingSample`: The same conversation without memory items; its images are those of the items, then its own.
    """
    turns, images = item_turns(sample.memories, picture_first=picture_first)
    has_system = sample.messages[0]["role"] == "system"
    messages = sample.messages[:has_system] + turns + sample.messages[has_system:]
    return TrainingSample(messages=messages, images=images + sample.images, name=sample.name)
