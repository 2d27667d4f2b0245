"""Invented emoji: real names and groups in new combinations, and words without meaning.

As with countries (`data/countries/invention.py`), the words of held-out emoji are used, but two facts of one that no
training emoji shares are never combined, and its picture is never drawn.
"""

import random

from recipes.atlas_small.data.shared.words import WordMaker

from .emoji import LANGUAGES, Emoji
from .wording import EMOJI


INVENTED = 0.12  # share of values with a word that does not exist
MIXED = 0.3  # share of the other values of two words whose words come from two


class EmojiInventor:
    """Draws facts of emoji that do not exist.

    Args:
        train (`list[Emoji]`): Emoji whose facts may be seen.
        held_out (`list[Emoji]`): Emoji of which no two own facts may come together. A fact is not an emoji's own if a
            training emoji shares it, as many share their group.
    """

    topic = EMOJI

    def __init__(self, train: list[Emoji], held_out: list[Emoji]):
        self.real = {field: sorted({one.facts()[field] for one in train + held_out}) for field in EMOJI.fields}
        self.pairs = {
            field: [value for value in values if value.count(" ") == 1] for field, values in self.real.items()
        }
        self.new_word = WordMaker(value for field in LANGUAGES for value in self.real[field])
        shared = {value for one in train for value in one.facts().values()}
        self.own = [set(one.facts().values()) - shared for one in held_out]

    def value(self, field: str, rng: random.Random) -> str:
        """Draw a value of one field: real, put together from two real ones, or with an invented word."""
        words = rng.choice(self.real[field]).split(" ")
        if rng.random() < INVENTED:
            word = self.new_word(rng)
            words[rng.randrange(len(words))] = word[0].upper() + word[1:] if field == "german" else word
        elif len(words) == 2 and rng.random() < MIXED:
            words[1] = rng.choice(self.pairs[field]).split(" ")[1]
        return " ".join(words)

    def facts(self, rng: random.Random) -> dict[str, str]:
        """Draw the facts of an emoji that does not exist."""
        while True:
            facts = {field: self.value(field, rng) for field in EMOJI.fields}
            # Counted by field: many a name is the same word in several languages.
            if all(sum(value in own for value in facts.values()) < 2 for own in self.own):
                return facts
