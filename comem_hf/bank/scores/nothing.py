"""Pictures of nothing, which no bank holds: noise, one colour, blurred colours. All are deterministic."""

import numpy as np
from PIL import Image


_SPOTS = 4  # blurred colours per side


def noise(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A random colour at every pixel."""
    return Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def flat(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """One random colour."""
    return Image.new("RGB", size, tuple(random.integers(0, 256, 3).tolist()))


def blur(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A few random colours that run into each other."""
    return noise(random, (_SPOTS, _SPOTS)).resize(size, Image.Resampling.BICUBIC)


NOTHING = {"noise": noise, "flat": flat, "blur": blur}


def picture_of_nothing(number: int, size: tuple[int, int]) -> Image.Image:
    """Make one of a series of pictures, whose kinds take turns.

    Args:
        number (`int`): Place in the series; the same number gives the same picture.
        size (`tuple[int, int]`): Width and height in pixels.
    """
    make = list(NOTHING.values())[number % len(NOTHING)]
    return make(np.random.default_rng(number), size)
