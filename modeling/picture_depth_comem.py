"""Pixels of more than 8 bits, from files and from arrays, as pictures of 8 bits."""

import numpy as np
import PIL.Image
import torch
from transformers.image_utils import ChannelDimension, infer_channel_dimension_format


_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF 6.0, sections 8 and 19
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}


def to_8_bits(picture: PIL.Image.Image, opened: PIL.Image.Image | None = None) -> PIL.Image.Image:
    """Scale grey values of more than 8 bits; other pictures are returned unchanged.

    Args:
        picture (`PIL.Image.Image`): The picture.
        opened (`PIL.Image.Image`, *optional*): The picture as it was opened, whose format says what its values mean.
    """
    if not picture.mode.startswith(("I", "F")):
        return picture
    opened = picture if opened is None else opened
    values = np.asarray(picture)
    if opened.mode == "I" and _tag(opened, _SAMPLE_FORMAT) == _UNSIGNED and _tag(opened, _BITS_PER_SAMPLE) == 32:
        values = values.view(np.uint32)  # Pillow has no mode for these
    white, is_inverted = _meaning(opened)
    levels = _scaled(values, white) if white else _scaled_by_range(values)
    scaled = PIL.Image.fromarray(255 - levels if is_inverted else levels)
    scaled.info = dict(picture.info)
    key = scaled.info.pop("transparency", None)
    if isinstance(key, int):
        scaled.putalpha(PIL.Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return scaled


def is_full_16_bits(image: PIL.Image.Image) -> bool:
    """Whether a picture has grey values of 16 bits from black to white, as a PNG can keep them."""
    return image.mode == "I;16" and _meaning(image) == (65535, False)


def picture_of_array(array: np.ndarray | torch.Tensor, name: str = "an image") -> PIL.Image.Image:
    """Make a picture of an array or tensor, by the rules of [`load_image`].

    Args:
        array (`np.ndarray` or `torch.Tensor`): Shape (height, width), or with 1, 3 or 4 channels before or after.
        name (`str`, *optional*): Name for error messages.

    Raises:
        ValueError: If the shape is another, or the values are no pixels.
    """
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
    shape = array.shape
    try:
        if array.ndim == 3:
            place = infer_channel_dimension_format(array, num_channels=tuple(_CHANNELS))
            array = np.moveaxis(array, 0, -1) if place == ChannelDimension.FIRST else array
        elif array.ndim != 2:
            raise ValueError
    except ValueError as error:
        raise ValueError(
            f"{name} has the shape {tuple(shape)}: it must be (height, width), or have 1, 3 or 4 channels before or "
            "after these."
        ) from error
    if 0 in shape:
        raise ValueError(f"{name} has the shape {tuple(shape)}, and so no pixels.")
    levels = _levels(array, name)
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[:, :, 0]
    return PIL.Image.fromarray(np.ascontiguousarray(levels))


def _levels(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return _scaled(array, 65535)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} is an array of {array.dtype}: its values must be bool, integers or floats.")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # NaN neither
        raise ValueError(
            f"{name} is an array of {array.dtype} with values from {low} to {high}: they must lie in 0 to 1 (floats), "
            "in 0 to 255, or be of the type uint16."
        )
    return _scaled(array, 1 if array.dtype.kind == "f" and high <= 1 else 255)


def _meaning(image: PIL.Image.Image) -> tuple[int | None, bool]:
    """The value that stands for full intensity, if the format gives one, and whether that is black."""
    white = None
    if image.mode.startswith("I;16"):
        white = 2 ** (_tag(image, _BITS_PER_SAMPLE) or 16) - 1
    elif image.mode == "I" and image.format in ("PNG", "PPM"):  # both of 16 bits, in older versions of Pillow
        white = 65535
    return white, _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO


def _tag(image: PIL.Image.Image, number: int) -> int | None:
    """A number in the tags of a TIFF, the first of several; `None` for other pictures."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return None
    value = tags.get(number, _UNSIGNED if number == _SAMPLE_FORMAT else None)
    return value[0] if isinstance(value, tuple) else value


def _scaled(values: np.ndarray, white: int) -> np.ndarray:
    if white == 255 and values.dtype.kind != "f":
        return values.astype(np.uint8)
    if values.dtype.kind != "f":
        return ((np.minimum(values, white).astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
    return np.rint(values.astype(np.float32) * np.float32(255 / white)).astype(np.uint8)


def _scaled_by_range(values: np.ndarray) -> np.ndarray:
    """Scale values of which nothing but their range tells what they mean; those that are not finite become black."""
    finite = np.isfinite(values)
    values = np.where(finite, values, 0)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0, 0)
    if low < 0 or high > (255 if values.dtype.kind == "f" else 65535):
        values = (values.astype(np.float64) - low) * 255 / max(float(high) - float(low), 1e-300)
        return np.rint(np.where(finite, values, 0)).astype(np.uint8)
    if values.dtype.kind == "f":
        return _scaled(values, 1) if high <= 1 else values.astype(np.uint8)  # as Pillow converts these
    return _scaled(values, 255 if high <= 255 else 65535)


__all__ = ["is_full_16_bits", "picture_of_array", "to_8_bits"]
