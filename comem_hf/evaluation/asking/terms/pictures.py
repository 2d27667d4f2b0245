"""The pictures that a model sees: those of the questions, and those of items."""

import math

from PIL import Image

from comem_hf.evaluation.benchmarks.files.picture_in_table import PictureInTable
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, load_image

from .protocol import Protocol


LONGEST_SIDE = 512
MRAG_WIDTH = 100


def question_picture(question: BenchmarkQuestion, benchmark: str, way: str, protocol: Protocol) -> Image.Image:
    """Open the picture of a question as a protocol shows it.

    On equal terms a picture is scaled down to 512 pixels on its longer side, and keeps its proportions. The release
    stretches what has a side of more than 512 pixels to 512 x 512, but for OVEN with items, which keeps its size; all
    pictures of ViQuAE; and halves those of MRAG-Bench until they are at most 100 pixels wide. The function that halved
    was not published: here it is the mean of 2 x 2 pixels.

    Args:
        question (`BenchmarkQuestion`): The question.
        benchmark (`str`): Name of its benchmark.
        way (`str`): The way that is asked.
        protocol (`Protocol`): The protocol.

    Raises:
        ValueError: If the picture is missing or cannot be read.
    """
    if question.picture is None:
        raise ValueError("The picture is missing.")
    stored = question.picture
    content = stored.read() if isinstance(stored, PictureInTable) else stored
    image = load_image(content, "the picture", max_aspect_ratio=MAX_ASPECT_RATIO)
    if protocol.name == "equal":
        return _scaled(image, LONGEST_SIDE / max(image.size))
    if benchmark == "viquae":
        return image.resize((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
    if benchmark == "mrag":
        while image.width > MRAG_WIDTH:
            image = image.reduce(2)
        return image
    if benchmark == "oven" and way != "no memory":
        return image
    return _stretched(image)


def item_picture(image: Image.Image, protocol: Protocol, most_pixels: int) -> Image.Image:
    """Return the picture of an item as it is shown in a prompt.

    On equal terms it has as many pixels as the memory encoder sees of it; the release stretches what has a side of
    more than 512 pixels to 512 x 512.

    Args:
        image (`PIL.Image.Image`): The item's picture.
        protocol (`Protocol`): The protocol.
        most_pixels (`int`): Most pixels that the memory encoder sees of an item.
    """
    if protocol.name == "release":
        return _stretched(image)
    return _scaled(image, (most_pixels / (image.width * image.height)) ** 0.5)


def _scaled(image: Image.Image, share: float) -> Image.Image:
    """Scale a picture down, unless that would make it larger."""
    if share >= 1:
        return image
    # Rounding must not make a narrow picture too narrow for the model.
    least = math.ceil(max(image.size) * share / MAX_ASPECT_RATIO)
    return image.resize([max(least, int(side * share)) for side in image.size], Image.Resampling.LANCZOS)


def _stretched(image: Image.Image) -> Image.Image:
    if max(image.size) <= LONGEST_SIDE:
        return image
    return image.resize((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
