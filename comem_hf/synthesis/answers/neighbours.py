"""The items that a question is answered from."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from PIL import Image

from comem_hf.bank import MemoryBank
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import load_image
from comem_hf.synthesis.questions.pictures import encoded_picture


class _NoMemory:
    """The part of [`ItemSource`] that items in the prompt do not need."""

    def prepare(self, items: Sequence[MemoryItem]) -> list[MemoryItem]:
        """Return the items as they are."""
        return list(items)

    def memory_inputs(self, rows: Sequence[Sequence[MemoryItem]]):
        """Refuse: the teacher has its items in the prompt."""
        raise NotImplementedError


@dataclass
class Neighbours(_NoMemory):
    """Items of a bank whose pictures are nearest to a question's.

    Args:
        bank (`MemoryBank`): The bank, which can be searched.
        top_k (`int`): Items for each question.
        hidden (`Mapping[str, Set[str]]`): Ids of items that a question does not get, by the question's id: those of
            held-out entities, for questions to train on.
        exclude_query_image (`bool`): Whether items with the very pixels of the question's picture are left out.
    """

    bank: MemoryBank
    top_k: int
    hidden: Mapping[str, Set[str]]
    exclude_query_image: bool = False

    def find(self, questions: Sequence[BenchmarkQuestion], pictures: Sequence[Image.Image]) -> list[list[MemoryItem]]:
        """Search the bank; the right item is wherever the search puts it, or nowhere."""
        found: dict[str, list[MemoryItem]] = {}
        left = list(zip(questions, pictures, strict=True))
        depth = self.top_k
        while left:  # again, deeper, for those of whose nearest items some were left out
            rows = self.bank.search(image=[picture for _, picture in left], k=depth, probabilities=False)
            pairs = zip(left, rows, strict=True)
            found |= {question.id: self._chosen(question, hits) for (question, _), hits in pairs}
            if depth >= len(self.bank):
                break
            left = [(question, picture) for question, picture in left if len(found[question.id]) < self.top_k]
            depth *= 4
        return [found[question.id] for question in questions]

    def _chosen(self, question: BenchmarkQuestion, hits: Sequence) -> list[MemoryItem]:
        hidden, chosen, own = self.hidden.get(question.id, ()), [], None
        if self.exclude_query_image:
            own = load_image(encoded_picture(question))
        for hit in hits:
            if len(chosen) == self.top_k:
                break
            if hit.item.id in hidden or own is not None and _same_pixels(own, hit.item):
                continue
            chosen.append(hit.item)
        return chosen


@dataclass
class OwnItem(_NoMemory):
    """The one item that a dialogue is about.

    Args:
        bank (`MemoryBank`): The bank.
        item_ids (`Mapping[str, str]`): Id of the item, by the question's id.
    """

    bank: MemoryBank
    item_ids: Mapping[str, str]

    def find(self, questions: Sequence[BenchmarkQuestion], pictures: Sequence[Image.Image]) -> list[list[MemoryItem]]:
        """Return the item of each question."""
        return [[self.bank[self.item_ids[question.id]]] for question in questions]


def _same_pixels(picture: Image.Image, item: MemoryItem) -> bool:
    other = item.load_image()
    return other is not None and other.size == picture.size and other.tobytes() == picture.tobytes()
