"""Invented facts: names that look like the world's and mean nothing, so that copying is learned and not the world.

A character model of order three is fitted on real names (places, currencies and languages in CLDR's Latin-script
locales) without a single word of a held-out country, and new words are drawn from it.
"""

import random
import re
from collections import defaultdict

from babel.core import Locale, get_global

from .countries import FIELDS, Country


LOCALES = ("en", "fr", "de", "es", "it", "pt", "nl", "fi", "id", "sw", "so")
UNITS = (
    "Dollar Franc Peso Dinar Pound Rupee Krone Shilling Real Rand Lira Riyal Dirham Florin Crown Mark Kwacha Taka "
    "Guilder Escudo Sucre Colón Leu Lev Kuna Tenge Som Manat Ruble Hryvnia Zloty Forint Koruna Lari Baht Dong Kip "
    "Ringgit Won Yuan Yen Birr Nakfa Cedi Dalasi Leone Naira Pula Loti Ariary Metical Pataca Tala Vatu Kina Tugrik"
).split()
COMPASS = (
    "Northern Southern Eastern Western Central Middle Upper Lower Inner Outer South-eastern North-western".split()
)
WORD = re.compile(r"[^\W\d_][\w'’-]*")
CODE_LENGTHS = (1, 2, 3, 3, 3, 4)
_ENGLISH = Locale("en")


def words_of(text: str) -> set[str]:
    """The lower-cased words of more than two letters."""
    return {word.lower() for word in WORD.findall(text) if len(word) > 2}


class Inventor:
    """Draws invented and recombined facts.

    Args:
        train (`list[Country]`): Countries whose own facts may be recombined.
        held_out (`list[Country]`): Countries no value of which may come up unless a training country shares it.
    """

    def __init__(self, train: list[Country], held_out: list[Country]):
        self.real = {field: sorted({country.facts()[field] for country in train}) for field in FIELDS}
        shared = {value for values in self.real.values() for value in values}
        self.forbidden_values = {v for c in held_out for v in c.facts().values()} - shared
        known_words = set().union(*(words_of(value) for value in shared))
        self.forbidden_words = set().union(*(words_of(value) for value in self.forbidden_values)) - known_words
        self.units = [unit for unit in UNITS if unit.lower() not in self.forbidden_words]
        self.words = self._collect_words({country.id for country in held_out})
        self.next_letter = defaultdict(list)
        for word in self.words:
            padded = "^^^" + word.lower() + "$"
            for i in range(3, len(padded)):
                self.next_letter[padded[i - 3 : i]].append(padded[i])

    def _collect_words(self, held_out: set[str]) -> list[str]:
        found = set()
        for code in LOCALES:
            locale = Locale(code)
            for alpha2, name in locale.territories.items():
                if len(alpha2) == 2 and alpha2.isalpha() and alpha2 not in held_out:
                    found |= words_of(name)
            for names, english in ((locale.currencies, _ENGLISH.currencies), (locale.languages, _ENGLISH.languages)):
                for key, name in names.items():
                    if not words_of(english.get(key, "")) & self.forbidden_words:
                        found |= words_of(name)
        zones = get_global("territory_zones")
        held_out_zones = {zone for alpha2 in held_out for zone in zones.get(alpha2, ())}
        for zones_of_one in zones.values():
            for zone in zones_of_one:
                if "/" in zone and zone not in held_out_zones:
                    found |= words_of(zone.rsplit("/", 1)[1].replace("_", " "))
        return sorted(word for word in found if word not in self.forbidden_words and len(word) <= 14)

    def word(self, rng: random.Random) -> str:
        """One invented (or, one time in four, real) word with a capital letter."""
        while True:
            if rng.random() < 0.25:
                word = rng.choice(self.words)
            else:
                word, state = "", "^^^"
                while (letter := rng.choice(self.next_letter[state])) != "$":
                    word, state = word + letter, state[1:] + letter
            if 3 <= len(word) <= 13 and word not in self.forbidden_words:
                return word[0].upper() + word[1:]

    def invent(self, field: str, rng: random.Random) -> str:
        """An invented value of one field."""
        word = lambda: self.word(rng)  # noqa: E731
        match field:
            case "name" | "capital":
                form = rng.random()
                if form < 0.62:
                    return word()
                patterns = {
                    "name": ("{} {}", "{} Islands", "{} and {}", "Saint {}", "Republic of {}", "New {}", "The {}"),
                    "capital": ("{} {}", "{} City", "{}-{}", "Port {}", "San {}", "Saint {}", "New {}", "{} Town"),
                }
                return rng.choice(patterns[field]).format(word(), word())
            case "region":
                return rng.choice((f"{rng.choice(COMPASS)} {word()}", word()))
            case "language":
                return word() if rng.random() < 0.5 else f"{word()} and {word()}"
            case "currency":
                return f"{word()} {rng.choice(self.units)}" if rng.random() < 0.75 else f"{word()} {word()}"
            case "code":
                digits = rng.choice(CODE_LENGTHS)
                return f"+{rng.randrange(10 ** (digits - 1), 10**digits)}"
        raise ValueError(f"`field` must be one of {FIELDS}, got {field!r}.")

    def facts(self, rng: random.Random) -> dict[str, str]:
        """Facts of a country that does not exist: every value invented or taken from another training country."""
        while True:
            facts = {
                field: rng.choice(self.real[field]) if rng.random() < 0.35 else self.invent(field, rng)
                for field in FIELDS
            }
            if not self.forbidden_values.intersection(facts.values()):
                return facts
