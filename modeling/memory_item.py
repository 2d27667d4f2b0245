"""The unit of knowledge: an image, a text, or both."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageOps


@dataclass
class MemoryItem:
    """An image-text item that the memory encoder turns into memory vectors.

    Args:
        image (`PIL.Image.Image`, `str`, `pathlib.Path` or `bytes`, *optional*): The picture itself, the path of its
            file, or the encoded file's bytes. Files are opened only when needed.
        text (`str`, *optional*): What is known about the picture, or a fact of its own.
        id (`str`, *optional*): Name of the item in a memory bank.
        metadata (`dict`, *optional*): Anything else; never read by the model.

    Raises:
        ValueError: If there is neither an image nor a text, or if one of them is of another type.
    """

    image: PIL.Image.Image | str | Path | bytes | None = None
    text: str | None = None
    id: str | None = None
    metadata: dict[str, Any] | None = None

    def __post_init__(self):
        if self.image is not None and not isinstance(self.image, (PIL.Image.Image, str, Path, bytes)):
            raise ValueError(f"`image` must be a PIL image, a path or bytes, got {type(self.image).__name__}.")
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

    def load_image(self) -> PIL.Image.Image | None:
        """Return the picture as an RGB image, or `None` if the item has none. See [`load_image`] for the errors."""
        if self.image is None:
            return None
        name = f"the image of memory item {self.id!r}" if self.id is not None else "the image of a memory item"
        return load_image(self.image, name)


def load_image(image: PIL.Image.Image | str | Path | bytes, name: str = "an image") -> PIL.Image.Image:
    """Open a picture, check its size and return it upright and in RGB.

    Args:
        image (`PIL.Image.Image`, `str`, `pathlib.Path` or `bytes`): A picture, its file's path or its encoded bytes.
        name (`str`, *optional*): Name that error messages use for a picture without a path.

    Raises:
        ValueError: If the file is missing, is no picture or has more than `PIL.Image.MAX_IMAGE_PIXELS` pixels.
    """
    name = repr(str(image)) if isinstance(image, (str, Path)) else name
    try:
        opened = image
        if not isinstance(image, PIL.Image.Image):
            opened = PIL.Image.open(io.BytesIO(image) if isinstance(image, bytes) else image)
        _check_size(opened, name)
        return PIL.ImageOps.exif_transpose(opened).convert("RGB")
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise ValueError(f"{name} is too large to be opened safely: {error}") from error
    except FileNotFoundError as error:
        raise ValueError(f"{name} does not exist.") from error
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for some broken files
        # For bytes, Pillow's message holds only the address of a buffer.
        reason = "the bytes are no whole picture in a known format" if isinstance(image, bytes) else error
        raise ValueError(f"{name} is not a readable picture: {reason}") from error


def _check_size(image: PIL.Image.Image, name: str):
    # Up to twice this number, Pillow itself only warns.
    limit = PIL.Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise ValueError(
            f"{name} is too large to be opened safely: {image.width} x {image.height} pixels, at most {limit} are "
            "allowed (`PIL.Image.MAX_IMAGE_PIXELS`)."
        )


__all__ = ["MemoryItem", "load_image"]
