"""What training draws at random for a sample: its items, their order, and how many vectors of each are used."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.training.data.sample import TrainingSample


class Drawn(NamedTuple):
    """What was drawn for a sample.

    Args:
        order (`list[int]`): Which items of the row are used, in the order in which the model gets them; 0 is the first
            item of the row, the best one.
        length (`int`, *optional*): Number of vectors of each item; `None` for all.
    """

    order: list[int]
    length: int | None


class Drawing:
    """Drawing of items, orders and lengths.

    What is drawn depends on the seed, the epoch and the sample itself, its texts and the names of its pictures. So it
    is the same in any batch, worker and process, and after a resumption. Samples that are equal in all of these draw
    alike.

    Args:
        seed (`int`): The seed.
        min_memories (`int`, *optional*): Least number of items. The number is drawn from this one to `max_memories`,
            or to all of the sample; by default it is the largest possible one. The first item of a row always stays.
        max_memories (`int`, *optional*): Largest number of items, taken from the first on; all by default.
        shuffle (`bool`, *optional*, defaults to `False`): Whether the items get a random order.
        lengths (`Sequence[int]`, *optional*): Numbers of vectors, of which one is drawn for each sample; by default
            all vectors are used.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        min_memories: int | None = None,
        max_memories: int | None = None,
        shuffle: bool = False,
        lengths: Sequence[int] | None = None,
    ):
        self.seed = seed
        self.min_memories, self.max_memories = min_memories, max_memories
        self.shuffle, self.lengths = shuffle, lengths
        self.is_random = shuffle or min_memories is not None or lengths is not None
        # In shared memory, so that a worker that outlives an epoch knows the next one.
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_() if self.is_random else None

    @property
    def epoch(self) -> int:
        """The epoch that is drawn for, from 0."""
        return 0 if self._epoch is None else int(self._epoch)

    @epoch.setter
    def epoch(self, value: int):
        if self._epoch is not None:
            self._epoch.fill_(value)

    def of_evaluation(self) -> "Drawing":
        """Return a drawing that is the same at every evaluation: items as in the first epoch, and all vectors."""
        return Drawing(self.seed, min_memories=self.min_memories, max_memories=self.max_memories, shuffle=self.shuffle)

    def __call__(self, sample: TrainingSample) -> Drawn:
        """Draw for a sample."""
        most = len(sample.memories) if self.max_memories is None else min(len(sample.memories), self.max_memories)
        order, length = list(range(most)), None
        if self.is_random:
            epoch = self.epoch if sample.epoch is None else sample.epoch
            start = f"{self.seed}/{epoch}/{_identity(sample)}"
            if self.min_memories is not None and most > self.min_memories:
                order = order[: random.Random(f"{start}/number").randint(self.min_memories, most)]
            if self.shuffle:
                random.Random(f"{start}/order").shuffle(order)
            if self.lengths is not None:
                length = random.Random(f"{start}/length").choice(self.lengths)
        return Drawn(order, length)


def _identity(sample: TrainingSample) -> str:
    items = [(item.id, item.text, *_file_names(item)) for item in sample.memories]
    content = sample.messages, [_file_name(image) for image in sample.images], items
    return json.dumps(content, sort_keys=True, default=lambda value: type(value).__name__)


def _file_names(item: MemoryItem) -> list[str | None]:
    return [_file_name(image) for image in item.pictures] or [None]


def _file_name(image: Any) -> str | None:
    """Return the name of a picture's file; a picture in memory has none."""
    return Path(image).name if isinstance(image, str | Path) else None
