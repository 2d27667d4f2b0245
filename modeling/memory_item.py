"""The unit of knowledge: an image, a text, or both."""

import numbers
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import PIL.Image

from .picture_comem import FORMS, MAX_ASPECT_RATIO, is_picture, load_image
from .picture_shrinking_comem import Use


FOUND_BY_PICTURE = "The memory bank finds items by their picture only"
"""What is said wherever a bank cannot be searched by text."""


@dataclass
class MemoryItem:
    """An image-text item that the memory encoder turns into memory vectors.

    Args:
        image (*optional*): The picture, in any form that [`load_image`] takes: a PIL image, path, data URL, base64
            string, bytes, file object, array, tensor or `{"bytes", "path"}`. It is opened only when needed.
        text (`str`, *optional*): What is known about the picture, or a fact of its own.
        id (`str`, *optional*): Name of the item in a memory bank; an integer becomes its text.
        metadata (`dict`, *optional*): Anything else; never read by the model.

    Raises:
        ValueError: If there is neither an image nor a text, or if one of them is of another type.
    """

    image: Any = None
    text: str | None = None
    id: str | None = None
    metadata: dict[str, Any] | None = None

    def __post_init__(self):
        if isinstance(self.id, numbers.Integral) and not isinstance(self.id, bool):
            self.id = str(self.id)
        if self.image is not None and not is_picture(self.image):
            raise ValueError(f"`image` must be {FORMS}, got {type(self.image).__name__}.")
        if self.text is not None and not isinstance(self.text, str):
            raise ValueError(f"`text` must be a string, got {type(self.text).__name__}.")
        if self.image is None and not (self.text and self.text.strip()):
            raise ValueError(f"A memory item needs an image, a text or both, got neither (id {self.id!r}).")

    @classmethod
    def of(cls, value: "MemoryItem | Mapping[str, Any]") -> "MemoryItem":
        """Return an item unchanged, or make an item of a mapping of its fields.

        Raises:
            ValueError: If `value` is neither, or if a key of the mapping is unknown.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"A memory item must be a MemoryItem or a mapping of its fields, got {value!r:.80}.")
        known = [field.name for field in fields(cls)]
        unknown = [key for key in value if key not in known]
        if unknown:
            raise ValueError(f"A memory item has unknown keys {unknown}; known are {known}.")
        return cls(**value)

    def load_image(self, uses: Sequence[Use] = ()) -> PIL.Image.Image | None:
        """Return the picture as an RGB image, or `None` if the item has none.

        Args:
            uses (`Sequence[Callable]`, *optional*): All that it is for, as for [`load_image`]; by default it keeps its
                size.

        Raises:
            ValueError: As [`load_image`] says, and if one side is more than 200 times the other.
        """
        if self.image is None:
            return None
        name = f"the image of memory item {self.id!r}" if self.id is not None else "the image of a memory item"
        return load_image(self.image, name, max_aspect_ratio=MAX_ASPECT_RATIO, uses=uses)


def numbers_of_equal_items(texts: list[str | None], pictures: list[PIL.Image.Image | None]) -> list[int]:
    """Number items from 0 on, so that those with the same text and the same pixels have the same number.

    Args:
        texts (`list[str]`): The texts of the items, or `None`.
        pictures (`list[PIL.Image.Image]`): Their pictures in RGB, or `None`.
    """
    looks = [(text or "", picture and picture.size) for text, picture in zip(texts, pictures, strict=True)]
    count = Counter(looks)
    numbers: dict[Any, int] = {}
    found = []
    for place, (look, picture) in enumerate(zip(looks, pictures, strict=True)):
        # Pixels are compared only where text and size are not enough.
        pixels = place if count[look] == 1 else picture and picture.tobytes()
        found.append(numbers.setdefault((look, pixels), len(numbers)))
    return found


__all__ = ["MemoryItem", "load_image", "numbers_of_equal_items"]
