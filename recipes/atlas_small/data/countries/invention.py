"""Invented countries: real values in new combinations and words without meaning, so that copying is learned.

The words of held-out countries are used, as any large model would know them. But two facts of a held-out country that
no training country shares are never combined, and its flag is never drawn. A combination that no sample holds cannot
be memorised; the score without memory shows that it is not.
"""

import random

from babel.core import Locale, get_global

from recipes.atlas_small.data.shared.words import WordMaker

from .countries import Country
from .wording import FLAGS


LOCALES = ("en", "es", "pt")
INVENTED = 0.12  # share of new values with a word that does not exist
CODE_LENGTHS = (1, 2, 3, 3, 3, 4)


class Inventor:
    """Draws facts of countries that do not exist.

    Args:
        train (`list[Country]`): Countries whose facts may be seen.
        held_out (`list[Country]`): Countries of which no two own facts may come together. A fact is not a country's
            own if a training country shares it, as many share the Euro.
    """

    topic = FLAGS

    def __init__(self, train: list[Country], held_out: list[Country]):
        self.real = {field: sorted({country.facts()[field] for country in train + held_out}) for field in FLAGS.fields}
        self.languages = sorted({name for value in self.real["language"] for name in value.split(" and ")})
        self.units = sorted({value.rsplit(" ", 1)[-1] for value in self.real["currency"]})
        self.issuers = sorted({value.rsplit(" ", 1)[0] for value in self.real["currency"] if " " in value})
        shared = {value for country in train for value in country.facts().values()}
        self.own = [set(country.facts().values()) - shared for country in held_out]
        self.new_word = WordMaker(_words_of_the_world())

    def word(self, rng: random.Random) -> str:
        """Invent a word with a capital letter."""
        word = self.new_word(rng)
        return word[0].upper() + word[1:]

    def value(self, field: str, rng: random.Random) -> str:
        """Draw a value of one field: real, put together from real parts, or invented."""
        invented = rng.random() < INVENTED
        match field:
            case "name" | "capital" | "region":
                return self.word(rng) if invented else rng.choice(self.real[field])
            case "language":
                names = [self.word(rng) if invented else rng.choice(self.languages), rng.choice(self.languages)]
                return names[0] if rng.random() < 0.6 else " and ".join(dict.fromkeys(names))
            case "currency":
                if rng.random() < 0.3:
                    return rng.choice(self.real[field])
                return f"{self.word(rng) if invented else rng.choice(self.issuers)} {rng.choice(self.units)}"
            case "code":
                digits = rng.choice(CODE_LENGTHS)
                return f"+{rng.randrange(10 ** (digits - 1), 10**digits)}"
        raise ValueError(f"`field` must be one of {FLAGS.fields}, got {field!r}.")

    def facts(self, rng: random.Random) -> dict[str, str]:
        """Draw the facts of a country that does not exist."""
        while True:
            facts = {field: self.value(field, rng) for field in FLAGS.fields}
            if all(len(own.intersection(facts.values())) < 2 for own in self.own):
                return facts


def _words_of_the_world() -> list[str]:
    """Names of places, currencies and languages in CLDR."""
    found = []
    for code in LOCALES:
        locale = Locale(code)
        found += [name for alpha2, name in locale.territories.items() if len(alpha2) == 2 and alpha2.isalpha()]
        found += [*locale.currencies.values(), *locale.languages.values()]
    for zones in get_global("territory_zones").values():
        found += [zone.rsplit("/", 1)[1].replace("_", " ") for zone in zones if "/" in zone]
    return found
