"""Where the items of a question come from: a memory bank, or what somebody else has retrieved."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Protocol as Interface

from PIL import Image

from comem_hf.bank import MemoryBank
from comem_hf.evaluation.asking.terms.pictures import item_picture
from comem_hf.evaluation.asking.terms.protocol import Protocol
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.modeling.memory_inputs import MemoryInputs
from comem_hf.modeling.memory_item import MemoryItem


class ItemSource(Interface):
    """What finds the items of questions, and makes memory of them."""

    def find(
        self, questions: Sequence[BenchmarkQuestion], pictures: Sequence[Image.Image]
    ) -> list[list[MemoryItem] | None]:
        """Return the items of each question, best first; `None` if the source knows nothing of a question."""

    def prepare(self, items: Sequence[MemoryItem]) -> list[MemoryItem]:
        """Open what memory is made of; a `ValueError` if that cannot be read."""

    def memory_inputs(self, rows: Sequence[Sequence[MemoryItem]]) -> MemoryInputs:
        """Return the memory of prepared items, a row for each question."""


@dataclass
class BankItems:
    """Items of a memory bank, found by the pictures of the questions; their memory is stored.

    Args:
        bank (`MemoryBank`): The bank, attached to the model.
        depth (`int`): Items to find for each question.
    """

    bank: MemoryBank
    depth: int
    _found: dict[str, list[str]] = field(default_factory=dict)

    def find(self, questions: Sequence[BenchmarkQuestion], pictures: Sequence[Image.Image]) -> list[list[MemoryItem]]:
        """Search the bank; what was found once, for another way, is not searched again."""
        if any(question.id not in self._found for question in questions):
            rows = self.bank.search(image=list(pictures), k=self.depth, probabilities=False)
            found = zip(questions, rows, strict=True)
            self._found |= {question.id: [hit.item.id for hit in hits] for question, hits in found}
        return [[self.bank[item_id] for item_id in self._found[question.id]] for question in questions]

    def prepare(self, items: Sequence[MemoryItem]) -> list[MemoryItem]:
        """Return the items: their memory is stored."""
        return list(items)

    def memory_inputs(self, rows: Sequence[Sequence[MemoryItem]]) -> MemoryInputs:
        """Return the stored vectors of the items."""
        return self.bank.memory_inputs([[item.id for item in row] for row in rows])


@dataclass
class RecordedItems:
    """Items that were retrieved before, such as the records of the CoMEM release; their memory is made here.

    Args:
        records (`Mapping[str, list[MemoryItem]]`): The items of each question, by its id.
        depth (`int`): Items to take for each question.
        processor (`CoMemProcessor`): The model's processor.
        protocol (`Protocol`): The protocol, which says how large the pictures of items are.
    """

    records: Mapping[str, list[MemoryItem]]
    depth: int
    processor: object
    protocol: Protocol

    def find(
        self, questions: Sequence[BenchmarkQuestion], pictures: Sequence[Image.Image]
    ) -> list[list[MemoryItem] | None]:
        """Look the questions up in the records."""
        return [
            self.records[question.id][: self.depth] if question.id in self.records else None for question in questions
        ]

    def prepare(self, items: Sequence[MemoryItem]) -> list[MemoryItem]:
        """Open the pictures of the items, and stretch them as the release does if that is the protocol."""
        if self.protocol.memory_pixels is None:  # the processor scales them
            return [MemoryItem(images=item.load_images(), text=item.text, id=item.id) for item in items]
        return shown_items(items, self.protocol, self.protocol.memory_pixels[1])

    def memory_inputs(self, rows: Sequence[Sequence[MemoryItem]]) -> MemoryInputs:
        """Return the items as the model encodes them, with pictures of the size that the protocol says."""
        processor = copy(self.processor)
        if self.protocol.memory_pixels is not None:
            processor.memory_min_pixels, processor.memory_max_pixels = self.protocol.memory_pixels
        return processor.process_memories(rows)


def shown_items(items: Sequence[MemoryItem], protocol: Protocol, most_pixels: int) -> list[MemoryItem]:
    """Return items with their pictures as a protocol shows them; see [`item_picture`]."""
    shown = [[item_picture(image, protocol, most_pixels) for image in item.load_images()] for item in items]
    return [
        MemoryItem(images=images, text=item.text, id=item.id) if images else item
        for item, images in zip(items, shown, strict=True)
    ]
