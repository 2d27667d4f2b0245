"""All that the embedded default is made from: the countries and the emoji."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .countries.countries import load_countries, split_countries
from .countries.flags import flag_drawings
from .countries.invention import Inventor
from .countries.sources import fetch_flags
from .emoji.drawings import emoji_drawings
from .emoji.emoji import load_emoji, split_emoji
from .emoji.invention import EmojiInventor
from .emoji.sources import fetch_emoji
from .shared.drawings import Drawings
from .shared.photographs import flatten
from .shared.thing import Thing
from .shared.topic import FactMaker


INVENTED_FLAGS, VARIANTS_OF_FLAGS = 6000, 3
INVENTED_EMOJI, VARIANTS_OF_EMOJI = 6000, 2


@dataclass(frozen=True)
class Collection:
    """The things of one topic.

    Args:
        things (`Sequence[Thing]`): All of them, sorted by id.
        held_out (`Sequence[Thing]`): Those that training must not see.
        inventor (`FactMaker`): Source of facts of things that do not exist.
        pictures (`Path`): Folder of PNG files named by lower-case id.
        drawings (`Callable[[], Drawings]`): Gives what is drawn of the things on the training side.
    """

    things: Sequence[Thing]
    held_out: Sequence[Thing]
    inventor: FactMaker
    pictures: Path
    drawings: Callable[[], Drawings]

    def picture(self, thing: Thing) -> Image.Image:
        """Load the picture of a thing, on white; in its own palette if it has one without transparency."""
        with Image.open(self.pictures / f"{thing.id.lower()}.png") as image:
            if image.mode == "P" and "transparency" not in image.info:
                return image.copy()
            return flatten(image)


def load_collections(folder: Path, seed: int = 0) -> list[Collection]:
    """Fetch, load and split countries and emoji; needs `npm`.

    Args:
        folder (`Path`): Folder in which `flags` and `emoji` are made.
        seed (`int`, *optional*, defaults to `0`): Seed of the splits.
    """
    flags, pictures = fetch_flags(folder), fetch_emoji(folder)
    countries, emoji = load_countries(flags), load_emoji(pictures)
    train, held_out = split_countries(countries, flags, seed)
    train_emoji, held_out_emoji = split_emoji(emoji, pictures, seed)
    return [
        Collection(
            countries,
            held_out,
            Inventor(train, held_out),
            flags,
            lambda: flag_drawings(train, flags, invented=INVENTED_FLAGS, variants=VARIANTS_OF_FLAGS),
        ),
        Collection(
            emoji,
            held_out_emoji,
            EmojiInventor(train_emoji, held_out_emoji),
            pictures,
            lambda: emoji_drawings(train_emoji, pictures, invented=INVENTED_EMOJI, variants=VARIANTS_OF_EMOJI),
        ),
    ]
