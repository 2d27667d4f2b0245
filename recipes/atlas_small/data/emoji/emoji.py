"""Emoji: facts, pictures, and which of them are held out of training.

Names in four languages, groups and kinds come from the npm package `emojibase-data` (MIT), pictures from
`@iconify-json/noto` (Noto Emoji, Apache-2.0).
"""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from recipes.atlas_small.data.shared.held_out import split_apart
from recipes.atlas_small.data.shared.photographs import flatten
from recipes.atlas_small.data.shared.thing import Thing


LANGUAGES = {"name": "en", "german": "de", "spanish": "es", "french": "fr"}
MOST_WORDS = 2  # in each name
WORD = re.compile(r"[^\W\d_][^\W\d_'’]*")
GROUPS = {
    "animals-nature": "animals and nature",
    "food-drink": "food and drink",
    "travel-places": "travel and places",
    "activities": "activities",
    "objects": "objects",
}
KINDS = {
    "animal-mammal": "mammals",
    "animal-bird": "birds",
    "animal-amphibian": "amphibians",
    "animal-reptile": "reptiles",
    "animal-marine": "sea animals",
    "animal-bug": "bugs",
    "plant-flower": "flowers",
    "plant-other": "plants",
    "food-fruit": "fruit",
    "food-vegetable": "vegetables",
    "food-prepared": "prepared food",
    "food-asian": "Asian food",
    "food-sweet": "sweets",
    "drink": "drinks",
    "dishware": "dishes",
    "place-map": "maps",
    "place-geographic": "landscapes",
    "place-building": "buildings",
    "place-religious": "religious buildings",
    "place-other": "other places",
    "transport-ground": "ground transport",
    "transport-water": "water transport",
    "transport-air": "air transport",
    "hotel": "hotels",
    "time": "time",
    "sky-weather": "sky and weather",
    "event": "events",
    "award-medal": "medals",
    "sport": "sports",
    "game": "games",
    "arts-crafts": "crafts",
    "clothing": "clothing",
    "sound": "sound",
    "music": "music",
    "musical-instrument": "musical instruments",
    "phone": "telephones",
    "computer": "computers",
    "light-video": "light and film",
    "book-paper": "books and paper",
    "money": "money",
    "mail": "mail",
    "writing": "writing",
    "office": "office",
    "lock": "locks and keys",
    "tool": "tools",
    "science": "science",
    "medical": "medicine",
    "household": "household",
    "other-object": "other objects",
}
# The difference of two thumbnails, as a share of the ink (what is not white) of the one with more of it.
SAME_EMOJI = 0.15  # below this, one of two pictures is left out
NEAR_EMOJI = 0.34  # ... below this, in some order of colours and perhaps mirrored, both stay on one side of the split


@dataclass(frozen=True)
class Emoji(Thing):
    """One emoji and its facts, all as text."""

    name: str
    kind: str
    group: str
    german: str
    spanish: str
    french: str


def choose_emoji(languages: Mapping[str, list[dict]], names: dict[str, dict[str, str]]) -> list[Emoji]:
    """Choose the emoji of `GROUPS` whose names have one or two words in each language, sorted by id.

    Args:
        languages (`Mapping[str, list[dict]]`): The entries of `emojibase-data` by language: `en`, `de`, `es`, `fr`.
        names (`dict[str, dict[str, str]]`): Names of its `groups` and `subgroups`, by number.
    """
    labels = {code: {entry["hexcode"]: entry["label"] for entry in entries} for code, entries in languages.items()}
    chosen = []
    for entry in languages["en"]:
        group = GROUPS.get(names["groups"].get(str(entry.get("group"))))
        kind = KINDS.get(names["subgroups"].get(str(entry.get("subgroup"))))
        called = {field: labels[code].get(entry["hexcode"], "") for field, code in LANGUAGES.items()}
        if group and kind and all(1 <= len(WORD.findall(label)) <= MOST_WORDS for label in called.values()):
            chosen.append(Emoji(entry["hexcode"], kind=kind, group=group, **called))
    return sorted(chosen, key=lambda emoji: emoji.id)


def load_emoji(emoji_dir: Path) -> list[Emoji]:
    """Load the emoji that `fetch_emoji` chose, without those that look the same as one before (an open padlock).

    Args:
        emoji_dir (`Path`): Folder of `facts.json` and of pictures named by lower-case id.
    """
    chosen = [Emoji(**facts) for facts in json.loads((emoji_dir / "facts.json").read_text(encoding="utf-8"))]
    kept, seen = [], np.empty((0, 16, 16, 3), dtype=np.float32)
    for emoji in chosen:
        own = thumbnail(emoji_dir / f"{emoji.id.lower()}.png")
        if (differences(own, seen) >= SAME_EMOJI).all():
            kept.append(emoji)
            seen = np.concatenate([seen, own[None]])
    return kept


def thumbnail(path: Path) -> np.ndarray:
    """Load an emoji's ink as a (16, 16, 3) float array: 0 is white."""
    with Image.open(path) as image:
        return 255 - np.asarray(flatten(image).resize((16, 16), Image.Resampling.BOX), dtype=np.float32)


def differences(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the difference of a thumbnail to each of others (emoji, 16, 16, 3), as a share of the ink."""
    ink = np.maximum(one.mean(), others.mean((1, 2, 3)))
    return np.abs(others - one).mean((1, 2, 3)) / np.maximum(ink, 1e-6)


def split_emoji(emoji: list[Emoji], emoji_dir: Path, seed: int = 0) -> tuple[list[Emoji], list[Emoji]]:
    """Split the emoji into (train, held-out), with those on the same side that look alike in some order of colours.

    A recoloured picture of a training emoji (`drawings.py`) could else show a held-out one: a red book is a recoloured
    green one. The split depends on the seed.
    """
    thumbnails = torch.stack([torch.from_numpy(thumbnail(emoji_dir / f"{one.id.lower()}.png")) for one in emoji])
    ink = thumbnails.mean((1, 2, 3))
    nearest = torch.full((len(emoji), len(emoji)), torch.inf)
    for order, mirrored in itertools.product(itertools.permutations(range(3)), ((), (2,))):
        changed = thumbnails.flip(mirrored)[..., list(order)]
        apart = torch.cdist(thumbnails.flatten(1), changed.flatten(1), p=1) / thumbnails[0].numel()
        nearest = torch.minimum(nearest, apart)
    near = (nearest < NEAR_EMOJI * torch.maximum(ink[:, None], ink)).tolist()
    return split_apart(emoji, lambda one, other: near[one][other], seed)
