"""A topic: what is asked about its things, and how."""

import random
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Topic:
    """The wordings of one topic.

    Args:
        name (`str`): Its name, in motifs and in the metadata of items.
        styles (`tuple[str, ...]`): Texts of an item with all facts, as format strings; the first is the bank's.
        sentences (`dict[str, tuple[str, ...]]`): Sentences that tell one fact, by the fact's field.
        questions (`dict[str, tuple[str, ...]]`): Questions about one fact, likewise.
        repeat (`tuple[str, ...]`): Requests to repeat an item.
        colours (`tuple[str, ...]`): Questions about the colours of a picture.
    """

    name: str
    styles: tuple[str, ...]
    sentences: dict[str, tuple[str, ...]]
    questions: dict[str, tuple[str, ...]]
    repeat: tuple[str, ...]
    colours: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the facts."""
        return tuple(self.questions)

    def item_text(self, facts: dict[str, str], rng: random.Random | None = None) -> str:
        """Return the text of a memory item, in the bank's style or in one drawn by `rng`."""
        return (rng.choice(self.styles) if rng else self.styles[0]).format(**facts)

    def short_text(self, facts: dict[str, str], fields: list[str], rng: random.Random) -> str:
        """Return the text of an item that holds only some of the facts, in the given order."""
        return " ".join(rng.choice(self.sentences[name]).format(**facts) for name in fields)


class FactMaker(Protocol):
    """A source of facts about things of one topic that do not exist."""

    topic: Topic

    def facts(self, rng: random.Random) -> dict[str, str]:
        """Draw the facts of one thing."""
