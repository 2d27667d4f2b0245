"""Pictures of flags: real ones, disturbed as by cameras and web pages, and invented ones."""

import io
import random

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance


PALETTE = {
    "red": (206, 32, 41),
    "green": (0, 122, 61),
    "blue": (0, 56, 147),
    "light blue": (100, 170, 225),
    "yellow": (252, 209, 22),
    "orange": (240, 130, 30),
    "white": (255, 255, 255),
    "black": (10, 10, 10),
    "brown": (130, 40, 60),
}
_NAMES = list(PALETTE)
_COLOURS = np.array([PALETTE[name] for name in _NAMES], dtype=np.float32)


def colours_of(image: Image.Image, minimum: float = 0.10) -> list[str]:
    """Return the names of the colours that cover at least `minimum` of the picture, largest first."""
    pixels = np.asarray(image.resize((42, 28), Image.Resampling.NEAREST), dtype=np.float32).reshape(-1, 1, 3)
    nearest = np.square(pixels - _COLOURS).sum(-1).argmin(-1)
    share = np.bincount(nearest, minlength=len(_NAMES)) / len(nearest)
    return [_NAMES[i] for i in np.argsort(-share, kind="stable") if share[i] >= minimum]


def disturb(image: Image.Image, rng: random.Random) -> Image.Image:
    """Return the flag after a small crop, a rescale, a change of brightness and JPEG compression."""
    width, height = image.size
    left, right = (rng.uniform(0, 0.05) * width for _ in range(2))
    top, bottom = (rng.uniform(0, 0.05) * height for _ in range(2))
    image = image.crop((round(left), round(top), round(width - right), round(height - bottom)))
    scale = rng.uniform(0.5, 1.0) * 160 / image.width
    image = image.resize((max(28, round(image.width * scale)), max(28, round(image.height * scale))))
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.1))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.randint(40, 95))
    return Image.open(buffer).convert("RGB")


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
