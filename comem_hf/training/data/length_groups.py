"""Samples of like lengths in the same batch: less padding."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers.trainer_pt_utils import LengthGroupedSampler

from .sample import TrainingSample


PICTURE = 1000  # characters that a picture counts as; it takes hundreds of tokens


class LengthGroups(LengthGroupedSampler):
    """Draws samples in groups of like lengths, in an order that the seed and the epoch decide.

    So all processes draw the same groups, of which each takes its part, and a resumed run goes on with the same ones.

    Args:
        dataset (`torch.utils.data.Dataset` or `Sequence`): [`TrainingSample`]s, or rows as in
            [`TrainingSample.from_row`].
        group_size (`int`): Samples of a group: those of an update on one process.
        seed (`int`): Seed of the order.
    """

    def __init__(self, dataset: "Dataset | Sequence[Any]", group_size: int, seed: int):
        lengths = [length_of(dataset[index]) for index in range(len(dataset))]
        super().__init__(group_size, lengths=lengths, generator=torch.Generator())
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0, whose order is drawn next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator.manual_seed(self.seed + self.epoch)
        return super().__iter__()


def length_of(row: Any) -> int:
    """Return about how many characters a row has, prompt, answers and items; no picture is opened."""
    sample = TrainingSample.from_row(row)
    parts = [part for message in sample.messages for part in message["content"]]
    texts = [part.get("text") for part in parts] + [item.text for item in sample.memories]
    pictures = len(sample.images) + sum(len(item.pictures) for item in sample.memories)
    return sum(len(text or "") for text in texts) + PICTURE * pictures
