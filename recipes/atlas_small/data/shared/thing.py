"""What a country and an emoji have in common: an id, facts, and a picture named after the id."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from .photographs import flatten


@dataclass(frozen=True)
class Thing:
    """A thing of a topic and its facts, all as text."""

    id: str

    def facts(self) -> dict[str, str]:
        """The facts by field name, without the id."""
        return {field: value for field, value in asdict(self).items() if field != "id"}


def pictures_of(things: Sequence[Thing], folder: Path) -> list[Image.Image]:
    """Load the pictures of things, on white.

    Args:
        things (`Sequence[Thing]`): The things.
        folder (`Path`): Folder of PNG files named by lower-case id.
    """
    pictures = []
    for thing in things:
        with Image.open(folder / f"{thing.id.lower()}.png") as image:
            pictures.append(flatten(image))
    return pictures
