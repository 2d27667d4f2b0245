"""Pictures of flags: real ones and invented ones."""

import random
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from recipes.atlas_small.data.shared.drawings import NUM_INVENTED, VARIANTS_OF_INVENTED, Drawings
from recipes.atlas_small.data.shared.photographs import PALETTE, main_colours
from recipes.atlas_small.data.shared.thing import pictures_of

from .countries import Country
from .wording import FLAGS


def flag_drawings(
    train: list[Country], flag_dir: Path, *, invented: int = NUM_INVENTED, variants: int = VARIANTS_OF_INVENTED
) -> Drawings:
    """Return what is drawn of flags: those of training countries, recoloured and invented ones.

    Args:
        train (`list[Country]`): Countries whose flags may be used.
        flag_dir (`Path`): Folder of flags.
        invented (`int`, *optional*, defaults to `2400`): Number of flags that do not exist, half of them recoloured.
        variants (`int`, *optional*, defaults to `2`): Variants of each of those.
    """
    real = pictures_of(train, flag_dir)
    return Drawings(FLAGS.name, real, partial(_new_flag, real), colours_of, invented, variants)


def _new_flag(real: list[Image.Image], number: int, rng: random.Random) -> Image.Image:
    return recolour(rng.choice(real), rng) if number % 2 else invent(rng)


def colours_of(image: Image.Image) -> list[str]:
    """Return the names of the colours that cover at least a tenth of the flag, largest first."""
    return main_colours(np.asarray(image.resize((42, 28), Image.Resampling.NEAREST)).reshape(-1, 3), PALETTE)


def recolour(image: Image.Image, rng: random.Random) -> Image.Image:
    """Make a flag that does not exist: a real one with permuted colour channels, perhaps mirrored or upside down."""
    channels = list(image.split())
    rng.shuffle(channels)
    image = Image.merge("RGB", channels)
    for operation in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
        if rng.random() < 0.5:
            image = image.transpose(operation)
    return image


def invent(rng: random.Random) -> Image.Image:
    """Draw a flag of stripes with, perhaps, a cross, a disc, a triangle or a canton, in the colours of flags."""
    width, height = rng.choice(((160, 80), (160, 107), (160, 96), (160, 120)))
    colours = rng.sample(list(PALETTE.values()), 4)
    image = Image.new("RGB", (width, height), colours[0])
    draw = ImageDraw.Draw(image)
    stripes = rng.choice((1, 2, 3, 3, 3, 4, 5))
    vertical = rng.random() < 0.4
    for i in range(stripes):
        a, b = i / stripes, (i + 1) / stripes
        box = (a * width, 0, b * width, height) if vertical else (0, a * height, width, b * height)
        draw.rectangle(box, fill=colours[i % rng.choice((2, 3)) if stripes > 3 else i % 3])
    match rng.choice(("none", "cross", "disc", "triangle", "canton", "band")):
        case "cross":
            x, t = rng.choice((0.35, 0.5)) * width, rng.uniform(0.06, 0.12) * width
            draw.rectangle((x - t, 0, x + t, height), fill=colours[3])
            draw.rectangle((0, height / 2 - t, width, height / 2 + t), fill=colours[3])
        case "disc":
            x, r = rng.choice((0.35, 0.5)) * width, rng.uniform(0.2, 0.35) * height
            draw.ellipse((x - r, height / 2 - r, x + r, height / 2 + r), fill=colours[3])
        case "triangle":
            draw.polygon([(0, 0), (rng.uniform(0.3, 0.5) * width, height / 2), (0, height)], fill=colours[3])
        case "canton":
            draw.rectangle((0, 0, width * rng.uniform(0.35, 0.5), height * 0.5), fill=colours[3])
        case "band":
            t = rng.uniform(0.1, 0.25) * height
            draw.polygon([(0, height), (0, height - t), (width, 0), (width, t)], fill=colours[3])
    return image
