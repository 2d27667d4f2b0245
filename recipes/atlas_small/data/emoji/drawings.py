"""What is drawn of emoji: real ones, and ones that do not exist."""

import itertools
import random
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from recipes.atlas_small.data.shared.drawings import NUM_INVENTED, VARIANTS_OF_INVENTED, Drawings
from recipes.atlas_small.data.shared.photographs import PALETTE, main_colours
from recipes.atlas_small.data.shared.thing import pictures_of

from .emoji import Emoji
from .wording import EMOJI


EMOJI_PALETTE = PALETTE | {
    "brown": (125, 80, 55),
    "grey": (150, 155, 160),
    "pink": (245, 150, 185),
    "purple": (130, 70, 170),
}
BACKGROUND = (1, 254, 3)  # no emoji has it
ALMOST_WHITE = 12
ORDERS = list(itertools.permutations(range(3)))[1:]  # of colour channels
RECOLOURED = 6.0  # mean absolute difference (0-255) below which a recoloured picture is still the real one


def emoji_drawings(
    train: list[Emoji], emoji_dir: Path, *, invented: int = NUM_INVENTED, variants: int = VARIANTS_OF_INVENTED
) -> Drawings:
    """Return what is drawn of emoji: those of the training side, recoloured ones, and parts of two put together.

    Args:
        train (`list[Emoji]`): Emoji whose pictures may be used.
        emoji_dir (`Path`): Folder of pictures.
        invented (`int`, *optional*, defaults to `2400`): Number of emoji that do not exist.
        variants (`int`, *optional*, defaults to `2`): Variants of each of those.
    """
    real = pictures_of(train, emoji_dir)
    return Drawings(EMOJI.name, real, partial(_new_emoji, real), colours_of, invented, variants)


def _new_emoji(real: list[Image.Image], number: int, rng: random.Random) -> Image.Image:
    if number % 3 == 0:
        while (image := recolour(rng.choice(real), rng)) is None:
            pass
        return image
    one, other = rng.sample(real, 2)
    return join(one, other, rng) if number % 3 == 1 else put_before(one, other, rng)


def colours_of(image: Image.Image) -> list[str]:
    """Return the names of the colours that cover at least a tenth of the emoji without its background."""
    small = image.resize((32, 32), Image.Resampling.NEAREST)
    for corner in itertools.product((0, small.width - 1), (0, small.height - 1)):
        if min(small.getpixel(corner)) >= 255 - ALMOST_WHITE:
            ImageDraw.floodfill(small, corner, BACKGROUND, thresh=ALMOST_WHITE)
    pixels = np.asarray(small).reshape(-1, 3)
    return main_colours(pixels[(pixels != BACKGROUND).any(-1)], EMOJI_PALETTE)


def recolour(image: Image.Image, rng: random.Random) -> Image.Image | None:
    """Return the picture with its colour channels in another order, perhaps mirrored; `None` if it has no colours."""
    channels = image.split()
    changed = Image.merge("RGB", [channels[i] for i in rng.choice(ORDERS)])
    if np.abs(np.asarray(changed, dtype=np.float32) - np.asarray(image)).mean() < RECOLOURED:
        return None
    return changed.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else changed


def join(one: Image.Image, other: Image.Image, rng: random.Random) -> Image.Image:
    """Return one half of a picture and the other half of another, side by side or one above the other."""
    width, height = one.size
    part = (width // 2, 0, width, height) if rng.random() < 0.5 else (0, height // 2, width, height)
    joined = one.copy()
    joined.paste(other.crop(part), part)
    return joined


def put_before(one: Image.Image, other: Image.Image, rng: random.Random) -> Image.Image:
    """Return a picture with a smaller one, on white, in a corner."""
    size = rng.randint(one.width * 2 // 5, one.width * 3 // 5)
    place = tuple(rng.choice((0, side - size)) for side in one.size)
    together = one.copy()
    together.paste(other.resize((size, size)), place)
    return together
