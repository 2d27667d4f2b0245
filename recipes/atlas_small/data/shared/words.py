"""Words without meaning that look like given ones."""

import random
import re
from collections import defaultdict
from collections.abc import Iterable


WORD = re.compile(r"[^\W\d_][\w'’-]*")
LENGTHS = range(3, 14)
LONGEST_EXAMPLE = 14


def words_of(text: str) -> set[str]:
    """Return the lower-cased words of more than two letters."""
    return {word.lower() for word in WORD.findall(text) if len(word) > 2}


class WordMaker:
    """A character model of order three.

    Args:
        texts (`Iterable[str]`): Texts whose words are the examples.
    """

    def __init__(self, texts: Iterable[str]):
        self.next_letter = defaultdict(list)
        for word in sorted(set().union(*map(words_of, texts))):
            padded = "^^^" + word + "$" if len(word) <= LONGEST_EXAMPLE else ""
            for i in range(3, len(padded)):
                self.next_letter[padded[i - 3 : i]].append(padded[i])

    def __call__(self, rng: random.Random) -> str:
        """Return a new word in small letters."""
        while True:
            word, state = "", "^^^"
            while (letter := rng.choice(self.next_letter[state])) != "$":
                word, state = word + letter, state[1:] + letter
            if len(word) in LENGTHS:
                return word
