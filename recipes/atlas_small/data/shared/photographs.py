"""Pictures as cameras and web pages give them, and the names of their colours."""

import io
import random

import numpy as np
from PIL import Image, ImageEnhance


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


def flatten(image: Image.Image) -> Image.Image:
    """Return an RGB copy with white in place of transparent parts (Nepal's flag is not a rectangle)."""
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def main_colours(pixels: np.ndarray, palette: dict[str, tuple[int, int, int]], minimum: float = 0.10) -> list[str]:
    """Return the names of the colours that at least `minimum` of the pixels (pixels, 3) have, largest first."""
    names, values = list(palette), np.array(list(palette.values()), dtype=np.float32)
    nearest = np.square(pixels.astype(np.float32)[:, None] - values).sum(-1).argmin(-1)
    share = np.bincount(nearest, minlength=len(names)) / max(1, len(nearest))
    return [names[i] for i in np.argsort(-share, kind="stable") if share[i] >= minimum]


def disturb(image: Image.Image, rng: random.Random) -> Image.Image:
    """Return the picture after a small crop, a rescale, a change of brightness and JPEG compression."""
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
