"""A sample's memory items as plain prompt content, the way of retrieval-augmented generation (RAG)."""

from comem_hf.rag import item_turns

from .sample import TrainingSample


def items_in_context(sample: TrainingSample, *, picture_first: bool = False) -> TrainingSample:
    """Write a sample's memory items into its prompt, one user turn each in front of the question.

    By default the text and then the picture, as the published RAG baseline shows retrieved items.

    Args:
        sample (`TrainingSample`):
            A sample with memory items.
        picture_first (`bool`, *optional*, defaults to `False`):
            See [`item_content`].

    Returns:
        `TrainingSample`: the same conversation without memory items; its images are those of the items, then its own.
    """
    turns, images = item_turns(sample.memories, picture_first=picture_first)
    return TrainingSample(messages=turns + sample.messages, images=images + sample.images, name=sample.name)
