"""Samples of associative recall: several items, and turns that each show another picture of one of them.

One reading of the items gives a loss on many comparisons of pictures, of which none can be guessed from the question.
"""

import random
from dataclasses import dataclass, field

import torch

from .countries import FIELDS
from .invention import Inventor
from .pictures import Motif
from .samples import BLOCK, Item
from .wording import COLOURS, QUESTIONS, REPEAT, item_text, short_text


@dataclass
class Turn:
    """A question, its answer, and the picture that comes with it; without one, it is about the picture before."""

    question: str
    answer: str
    picture: str | None = None


@dataclass
class Recall:
    """Items in any order, and turns about them. `place` is that of the first turn's item, from 0."""

    items: list[Item]
    turns: list[Turn] = field(default_factory=list)
    place: int = 0

    @property
    def picture(self) -> str:
        """The picture of the first turn."""
        return self.turns[0].picture


@dataclass(frozen=True)
class Course:
    """A part of the curriculum.

    Args:
        samples (`int`): Number of samples.
        items (`tuple[int, ...]`): Numbers of items, of which a block of samples draws one.
        facts (`tuple[int, ...]`): Numbers of facts in an item, likewise; six may be told in whole sentences.
        turns (`int`): Number of turns.
        alike (`float`): Share of samples whose items are look-alikes.
        follow (`float`): Share of turns that ask on about the picture before, without one.
        look (`float`): Share of turns that ask for the colours of the picture.
        repeat (`float`): Share of samples that end in a request to repeat the item.
        plain (`bool`): Whether items and turns are a picture and a word, without sentences and questions: the shortest
            sequences from which comparing can be learned.
    """

    samples: int = 0
    items: tuple[int, ...] = (1, 2, 3)
    facts: tuple[int, ...] = (6,)
    turns: int = 6
    alike: float = 0.0
    follow: float = 0.0
    look: float = 0.0
    repeat: float = 0.0
    plain: bool = False


class RecallMaker:
    """Maker of random samples; sample i is the same in every run.

    Args:
        inventor (`Inventor`): Source of facts.
        motifs (`list[Motif]`): Source of pictures.
        courses (`list[Course]`): The curriculum; after its end the last course goes on.
        near (`torch.Tensor` of shape `(motifs, look-alikes)`, *optional*): The motifs most like each one.
        seed (`int`, *optional*, defaults to `0`): Seed of the samples.
    """

    def __init__(
        self,
        inventor: Inventor,
        motifs: list[Motif],
        courses: list[Course],
        near: torch.Tensor | None = None,
        seed: int = 0,
    ):
        self.inventor, self.motifs, self.courses, self.seed = inventor, motifs, courses, seed
        self.near = None if near is None else near.tolist()

    def course(self, index: int) -> Course:
        """Return the course that sample `index` belongs to."""
        for course in self.courses:
            if index < course.samples:
                return course
            index -= course.samples
        return self.courses[-1]

    def _motifs(self, count: int, alike: bool, rng: random.Random) -> list[Motif]:
        if not alike or self.near is None:
            return rng.sample(self.motifs, count)
        leader = rng.randrange(len(self.motifs))
        rows = [leader, *rng.sample(self.near[leader], count - 1)]
        rng.shuffle(rows)
        return [self.motifs[row] for row in rows]

    def __call__(self, index: int) -> Recall:
        course = self.course(index)
        block = random.Random(f"{self.seed}/block/{index // BLOCK}")  # samples of a batch have similar lengths
        num_items, num_facts = block.choice(course.items), block.choice(course.facts)
        rng = random.Random(f"{self.seed}/{index}")
        motifs = self._motifs(num_items, rng.random() < course.alike, rng)
        facts = [self.inventor.facts(rng) for _ in motifs]
        fields = rng.sample(FIELDS, num_facts)
        whole = num_facts == len(FIELDS) and rng.random() < 0.7
        items = [
            Item(
                rng.choice(motif.files),
                item_text(known, rng) if whole else short_text(known, rng.sample(fields, num_facts), rng),
            )
            for motif, known in zip(motifs, facts, strict=True)
        ]
        sample = Recall(items)
        asked, at = [], None
        unasked = [[] for _ in items]
        while len(sample.turns) < course.turns:
            follows = at is not None and rng.random() < course.follow
            if not follows:
                if not asked:
                    asked = rng.sample(range(num_items), num_items)
                at = asked.pop()
            if not sample.turns:
                sample.place = at
            picture = None if follows else rng.choice([f for f in motifs[at].files if f != items[at].picture])
            if rng.random() < course.look:
                question, answer = rng.choice(COLOURS), " and ".join(motifs[at].colours[:3])
            else:
                unasked[at] = unasked[at] or rng.sample(fields, num_facts)
                name = unasked[at].pop()
                question, answer = rng.choice(QUESTIONS[name]), facts[at][name]
            sample.turns.append(Turn(question, answer, picture))
        if course.plain:
            for item, known in zip(items, facts, strict=True):
                item.text = known[fields[0]]
            for turn in sample.turns:
                turn.question = ""
        elif rng.random() < course.repeat:
            sample.turns[course.turns // 2 :] = [Turn(rng.choice(REPEAT), items[at].text, sample.turns[-1].picture)]
            if sample.turns[-1].picture is None:
                sample.turns[-1].picture = rng.choice(motifs[at].files)
        return sample
