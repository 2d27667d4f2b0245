"""Samples of associative recall: several items, and turns that each show another picture of one of them.

One reading of the items gives a loss on many comparisons of pictures, of which none can be guessed from the question.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from recipes.atlas_small.data.shared.topic import FactMaker

from .pictures import Motif
from .samples import BLOCK, Item


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
        mixed (`float`): Share of samples with all facts whose items may be of any topic. The items of the others are
            of one, and those of samples with fewer facts always: a question would tell such items apart by itself.
        shares (`tuple[float, ...]`): Weights of the topics in samples of one topic, in the order of the maker's; by
            default equal ones.
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
    mixed: float = 0.0
    shares: tuple[float, ...] = ()


class RecallMaker:
    """Maker of random samples; sample i is the same in every run.

    Args:
        inventors (`Sequence[FactMaker]`): Sources of facts, one for each topic.
        motifs (`list[Motif]`): Source of pictures, of these topics.
        courses (`list[Course]`): The curriculum; after its end the last course goes on.
        near (`torch.Tensor` of shape `(motifs, look-alikes)`, *optional*): The motifs most like each one.
        seed (`int`, *optional*, defaults to `0`): Seed of the samples.

    Raises:
        ValueError: If a topic has no motifs, or a motif is of another topic.
    """

    def __init__(
        self,
        inventors: Sequence[FactMaker],
        motifs: list[Motif],
        courses: list[Course],
        near: torch.Tensor | None = None,
        seed: int = 0,
    ):
        self.inventors = {inventor.topic.name: inventor for inventor in inventors}
        self.motifs, self.courses, self.seed = motifs, courses, seed
        self.near = None if near is None else near.tolist()
        self.rows = {name: [] for name in self.inventors}
        for row, motif in enumerate(motifs):
            self.rows.setdefault(motif.topic, []).append(row)
        if self.rows.keys() != self.inventors.keys() or not all(self.rows.values()):
            counts = {name: len(rows) for name, rows in self.rows.items()}
            raise ValueError(
                f"`motifs` must be of the topics of `inventors`, {list(self.inventors)}, and some of each; "
                f"got these numbers of motifs: {counts}."
            )

    def course(self, index: int) -> Course:
        """Return the course that sample `index` belongs to."""
        for course in self.courses:
            if index < course.samples:
                return course
            index -= course.samples
        return self.courses[-1]

    def _rows(self, course: Course, num_facts: int, rng: random.Random) -> Sequence[int]:
        """The motifs, by their rows, that a sample may show."""
        names = list(self.inventors)
        if len(names) == 1:
            return self.rows[names[0]]
        all_facts = num_facts == max(len(inventor.topic.fields) for inventor in self.inventors.values())
        if rng.random() < course.mixed and all_facts:
            return range(len(self.motifs))
        return self.rows[rng.choices(names, course.shares or None)[0]]

    def _motifs(self, rows: Sequence[int], count: int, alike: bool, rng: random.Random) -> list[Motif]:
        if not alike or self.near is None:
            return [self.motifs[row] for row in rng.sample(rows, count)]
        leader = rng.choice(rows)
        of_one_topic = self.motifs[leader].topic if len(rows) < len(self.motifs) else None
        near = [row for row in self.near[leader] if of_one_topic in (None, self.motifs[row].topic)]
        while len(near) < count - 1:
            other = rng.choice(rows)
            near += [other] if other not in (leader, *near) else []
        chosen = [leader, *rng.sample(near, count - 1)]
        rng.shuffle(chosen)
        return [self.motifs[row] for row in chosen]

    def __call__(self, index: int) -> Recall:
        course = self.course(index)
        block = random.Random(f"{self.seed}/block/{index // BLOCK}")  # samples of a batch have similar lengths
        num_items, num_facts = block.choice(course.items), block.choice(course.facts)
        rng = random.Random(f"{self.seed}/{index}")
        rows = self._rows(course, num_facts, rng)
        motifs = self._motifs(rows, num_items, rng.random() < course.alike, rng)
        inventors = [self.inventors[motif.topic] for motif in motifs]
        topics = [inventor.topic for inventor in inventors]
        facts = [inventor.facts(rng) for inventor in inventors]
        fields = {topic.name: topic.fields for topic in topics}
        fields = {name: rng.sample(names, num_facts) for name, names in fields.items()}
        whole = num_facts == len(topics[0].fields) and rng.random() < 0.7
        items = [
            Item(
                rng.choice(motif.files),
                topic.item_text(known, rng)
                if whole
                else topic.short_text(known, rng.sample(fields[topic.name], num_facts), rng),
            )
            for motif, topic, known in zip(motifs, topics, facts, strict=True)
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
            topic = topics[at]
            picture = None if follows else rng.choice([f for f in motifs[at].files if f != items[at].picture])
            if rng.random() < course.look:
                question, answer = rng.choice(topic.colours), " and ".join(motifs[at].colours[:3])
            else:
                unasked[at] = unasked[at] or rng.sample(fields[topic.name], num_facts)
                name = unasked[at].pop()
                question, answer = rng.choice(topic.questions[name]), facts[at][name]
            sample.turns.append(Turn(question, answer, picture))
        if course.plain:
            for item, topic, known in zip(items, topics, facts, strict=True):
                item.text = known[fields[topic.name][0]]
            for turn in sample.turns:
                turn.question = ""
        elif rng.random() < course.repeat:
            sample.turns[course.turns // 2 :] = [
                Turn(rng.choice(topics[at].repeat), items[at].text, sample.turns[-1].picture)
            ]
            if sample.turns[-1].picture is None:
                sample.turns[-1].picture = rng.choice(motifs[at].files)
        return sample
