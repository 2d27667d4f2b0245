"""Small disturbances of pictures, so that a query is never the stored picture itself. All are deterministic."""

import io
from collections.abc import Callable

from PIL import Image


def rescale(image: Image.Image) -> Image.Image:
    """The picture at half its width and height."""
    width, height = image.size
    return image.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BILINEAR)


def jpeg(image: Image.Image) -> Image.Image:
    """The picture after JPEG compression at quality 40."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


def crop(image: Image.Image) -> Image.Image:
    """The middle of the picture: 10 % of width and height are cut off, half of it on each side."""
    width, height = image.size
    left, top = round(0.05 * width), round(0.05 * height)
    return image.crop((left, top, width - left, height - top))


DISTURBANCES: dict[str, Callable[[Image.Image], Image.Image]] = {"rescale": rescale, "jpeg": jpeg, "crop": crop}
