"""What a topic gives to the pool of training pictures."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


VARIANTS_OF_REAL = 16
NUM_INVENTED = 2400
VARIANTS_OF_INVENTED = 2


@dataclass(frozen=True)
class Drawings:
    """The pictures of one topic.

    Args:
        topic (`str`): Name of the topic.
        real (`list[Image.Image]`): Pictures of training things.
        invent (`Callable[[int, random.Random], Image.Image]`): Draws the n-th picture of a thing that does not exist.
        colours_of (`Callable[[Image.Image], list[str]]`): Names the main colours of a picture, largest first.
        invented (`int`, *optional*, defaults to `2400`): Number of pictures that `invent` draws.
        variants (`int`, *optional*, defaults to `2`): Disturbed variants of each of those.
        variants_of_real (`int`, *optional*, defaults to `16`): Disturbed variants of each real picture.
    """

    topic: str
    real: list[Image.Image]
    invent: Callable[[int, random.Random], Image.Image]
    colours_of: Callable[[Image.Image], list[str]]
    invented: int = NUM_INVENTED
    variants: int = VARIANTS_OF_INVENTED
    variants_of_real: int = VARIANTS_OF_REAL
