"""The unit of knowledge: pictures, a text, or both."""

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
        images (`list`, *optional*): The pictures of an item that has several, such as a product from four sides, in
            the order in which the encoder reads them. They become one memory, of as many vectors as that of a single
            picture. A list of one is the same as `image`, and an empty one as no picture: only where there are
            several, `images` stays and `image` is `None`. [`MemoryItem.pictures`] has all of them in any case.

    Raises:
        ValueError: If there is neither a picture nor a text, if there are both `image` and `images`, or if one of
            them is of another type.
    """

    image: Any = None
    text: str | None = None
    id: str | None = None
    metadata: dict[str, Any] | None = None
    images: Sequence[Any] | None = None

    def __post_init__(self):
        if isinstance(self.id, numbers.Integral) and not isinstance(self.id, bool):
            self.id = str(self.id)
        if self.image is not None and not is_picture(self.image):
            raise ValueError(f"`image` must be {FORMS}, got {type(self.image).__name__}.")
        if self.text is not None and not isinstance(self.text, str):
            raise ValueError(f"`text` must be a string, got {type(self.text).__name__}.")
        if self.images is not None:
            self._settle_images()
        if not self.pictures and not (self.text and self.text.strip()):
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

    @property
    def pictures(self) -> list[Any]:
        """All pictures of the item in their order, as they were given: none, that in `image`, or those in `images`."""
        if self.images:
            return list(self.images)
        return [] if self.image is None else [self.image]

    def load_image(self, uses: Sequence[Use] = ()) -> PIL.Image.Image | None:
        """Return the picture as an RGB image, or `None` if the item has none.

        Args:
            uses (`Sequence[Callable]`, *optional*): All that it is for, as for [`load_image`]; by default it keeps its
                size.

        Raises:
            ValueError: As [`load_image`] says, if one side is more than 200 times the other, and if the item has
                several pictures, which [`MemoryItem.load_images`] opens.
        """
        if self.images:
            raise ValueError(
                f"Memory item {self.id!r} has {len(self.images)} pictures: open them with `load_images`, where one is "
                "not enough."
            )
        return next(iter(self.load_images(uses)), None)

    def load_images(self, uses: Sequence[Use] = ()) -> list[PIL.Image.Image]:
        """Return all pictures as RGB images, in their order; an empty list if the item has none.

        Args:
            uses (`Sequence[Callable]`, *optional*): All that each of them is for, as for [`load_image`].

        Raises:
            ValueError: As [`load_image`] says, and if one side of a picture is more than 200 times the other.
        """
        item = "a memory item" if self.id is None else f"memory item {self.id!r}"
        name = "image {}" if self.images else "the image"
        return [
            load_image(picture, f"{name.format(number)} of {item}", max_aspect_ratio=MAX_ASPECT_RATIO, uses=uses)
            for number, picture in enumerate(self.pictures, start=1)
        ]

    def _settle_images(self):
        """Check `images`, and give a list of one picture the form of a single picture."""
        if not isinstance(self.images, (list, tuple)):
            raise ValueError(
                f"`images` must be a list of pictures, got {type(self.images).__name__}; a single one goes into "
                "`image`."
            )
        for place, picture in enumerate(self.images):
            if not is_picture(picture):
                raise ValueError(f"`images[{place}]` must be {FORMS}, got {type(picture).__name__}.")
        if self.images and self.image is not None:
            raise ValueError(
                f"A memory item takes one picture as `image` or several as `images`, got both (id {self.id!r}): put "
                "all of them into `images`."
            )
        if len(self.images) == 1:
            self.image = self.images[0]
        self.images = list(self.images) if len(self.images) > 1 else None


def numbers_of_equal_items(texts: list[str | None], pictures: list[list[PIL.Image.Image]]) -> list[int]:
    """Number items from 0 on, so that those with the same text and the same pixels have the same number.

    Args:
        texts (`list[str]`): The texts of the items, or `None`.
        pictures (`list[list[PIL.Image.Image]]`): The pictures of each item, in RGB.
    """
    looks = [(text or "", *(picture.size for picture in own)) for text, own in zip(texts, pictures, strict=True)]
    count = Counter(looks)
    numbers: dict[Any, int] = {}
    found = []
    for place, (look, own) in enumerate(zip(looks, pictures, strict=True)):
        # Pixels are compared only where texts and sizes are not enough.
        pixels = place if count[look] == 1 else tuple(picture.tobytes() for picture in own)
        found.append(numbers.setdefault((look, pixels), len(numbers)))
    return found


__all__ = ["MemoryItem", "load_image", "numbers_of_equal_items"]
