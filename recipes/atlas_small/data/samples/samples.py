"""Training samples: a picture, memory items, and a conversation about them. Deterministic in (seed, index)."""

import random
from dataclasses import dataclass, field

from recipes.atlas_small.data.shared.topic import FactMaker

from .pictures import Motif


MAX_ITEMS = 3
BLOCK = 32


@dataclass
class Item:
    """A memory item: the picture's file name in the pool, and a text."""

    picture: str
    text: str


@dataclass
class Sample:
    """A picture's file name, the items (first the one that answers, as in a search), and (question, answer) turns."""

    picture: str
    items: list[Item] = field(default_factory=list)
    turns: list[tuple[str, str]] = field(default_factory=list)

    def texts(self) -> list[str]:
        """Return all texts of the sample."""
        return [item.text for item in self.items] + [text for turn in self.turns for text in turn]


class SampleMaker:
    """Maker of random samples of one topic.

    Args:
        inventor (`FactMaker`): Source of facts.
        motifs (`list[Motif]`): Source of pictures, of the same topic.
        several (`float`): Share of blocks whose samples have further items after the right one.
        single_until (`int`): Samples before this index have one item, from which copying is learned faster.
        repeat (`float`): Share of samples that end in a request to repeat the item.
        look (`float`): Share of samples with a question about the colours of the picture.
        partial (`float`): Share of samples whose item holds only some of the facts, in single sentences.
        one_fact_until (`int`): Samples before this index have items of a single fact, from which memory is learned
            first.
    """

    def __init__(
        self,
        inventor: FactMaker,
        motifs: list[Motif],
        *,
        several: float = 0.25,
        single_until: int = 0,
        repeat: float = 0.2,
        look: float = 0.3,
        partial: float = 0.0,
        one_fact_until: int = 0,
        seed: int = 0,
    ):
        self.inventor, self.motifs, self.seed = inventor, motifs, seed
        self.several, self.single_until = several, single_until
        self.repeat, self.look = repeat, look
        self.partial, self.one_fact_until = partial, one_fact_until

    def _has_several(self, index: int) -> bool:
        # Decided for whole blocks, so that a batch holds samples of similar length and little padding.
        rng = random.Random(f"{self.seed}/block/{index // BLOCK}")
        return index >= self.single_until and rng.random() < self.several

    def _num_facts(self, index: int, rng: random.Random) -> int:
        most = 1 if index < self.one_fact_until else len(self.inventor.topic.fields)
        return rng.randint(1, most) if rng.random() < self.partial else most

    def __call__(self, index: int) -> Sample:
        rng, topic = random.Random(f"{self.seed}/{index}"), self.inventor.topic
        motif = rng.choice(self.motifs)
        facts = self.inventor.facts(rng)
        sample = Sample(rng.choice(motif.files))
        fields = rng.sample(topic.fields, len(topic.fields))
        count = self._num_facts(index, rng)
        if count < len(topic.fields) or rng.random() < self.partial:
            fields = fields[:count]
            text = topic.short_text(facts, rng.sample(fields, count), rng)
        else:
            text = topic.item_text(facts, rng)
        sample.items.append(Item(rng.choice(motif.files), text))
        if self._has_several(index):
            for other in rng.sample(self.motifs, rng.randint(1, MAX_ITEMS - 1)):
                sample.items.append(Item(rng.choice(other.files), topic.item_text(self.inventor.facts(rng), rng)))
        sample.turns = [(rng.choice(topic.questions[name]), facts[name]) for name in fields]
        if rng.random() < self.look:
            colours = (rng.choice(topic.colours), " and ".join(motif.colours[:3]))
            sample.turns.insert(rng.randint(0, len(sample.turns)), colours)
        if rng.random() < self.repeat:
            sample.turns = sample.turns[:2] + [(rng.choice(topic.repeat), sample.items[0].text)]
        return sample
