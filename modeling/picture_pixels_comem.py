"""Pixels of a picture as the model sees them: upright, in sRGB, 8 bits deep, on white."""

import io
from functools import lru_cache

import numpy as np
import PIL.Image
from transformers.utils import logging

from .picture_depth_comem import to_8_bits


logger = logging.get_logger(__name__)

PICTURE_RULES = 2
"""Number of the rules of [`load_image`].

By the rules 1, transparent parts showed the colour that they hid, grey values of more than 8 bits were clipped at 255,
and colour profiles were ignored.
"""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_EXIF_KEYS = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
# Pillow decodes these raw modes of PNG to 8 bits, but not their colour key.
_KEY_FACTORS = {"1": 255, "L;2": 85, "L;4": 17, "RGB;16B": 1 / 256}
_KEY_MODES = ("1", "L", "RGB", "I", "I;16")
_PROFILE_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}  # mode of the picture: colour space of its profile
# Profiles of sRGB come in many versions, whose conversion to sRGB is off by rounding only.
_MOST_ROUNDING = 2


def to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return a new picture in RGB, by the rules of [`load_image`].

    Args:
        image (`PIL.Image.Image`): The picture; decoded here if it is not yet.
    """
    picture = upright(image)
    profile = picture.info.get("icc_profile")
    picture, alpha = _split_alpha(to_8_bits(picture, image))
    picture = _in_srgb(picture, profile)
    if alpha is not None:
        white = PIL.Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=alpha)
        picture = white
    picture.info = {}  # what is applied must not be applied again
    return picture


def upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return a copy that is turned as its EXIF data says; EXIF data that cannot be read says nothing.

    A picture that was converted after it was opened keeps no transparent colour: Pillow leaves one without a meaning.
    """
    colour_key = _colour_key(image)
    image.load()  # outside the handler: a picture that cannot be decoded is an error
    try:
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION))
    except Exception as error:  # for damaged EXIF data, Pillow raises errors of many types
        logger.info(f"The EXIF data of a picture cannot be read, and its orientation is not known: {error!r}")
        method = None
    copy = image.copy() if method is None else image.transpose(method)
    if method is not None:
        for key in _EXIF_KEYS:
            copy.info.pop(key, None)
    if image.mode in _KEY_MODES:
        copy.info.pop("transparency", None)
        if colour_key is not None:
            copy.info["transparency"] = colour_key
    return copy


def depends_on_rules(image: PIL.Image.Image) -> bool:
    """Whether the rules 1 and 2 may give other pixels; the header tells, and nothing is decoded."""
    if image.has_transparency_data or image.mode.startswith(("I", "F")):
        return True
    profile = image.info.get("icc_profile")
    mode = "RGB" if image.mode == "P" else image.mode
    return isinstance(profile, bytes) and _profile_transform(profile, mode) is not None


def _colour_key(image: PIL.Image.Image) -> object:
    """The transparent colour of a picture without alpha, in the depth of its decoded pixels; call it before `load`."""
    key = image.info.get("transparency")
    if image.format is None or key is None:
        return None
    tile = getattr(image, "tile", None)  # empty once the picture is decoded
    arguments = tile[0][3] if tile else None
    factor = _KEY_FACTORS.get(arguments[0] if isinstance(arguments, tuple) else arguments, 1)
    if isinstance(key, int) and image.mode in ("1", "L"):
        return min(key * factor, 255)
    if isinstance(key, tuple) and (max(key) > 255 or factor < 1):
        return tuple(value >> 8 for value in key)
    return key


def _split_alpha(image: PIL.Image.Image) -> tuple[PIL.Image.Image, PIL.Image.Image | None]:
    """The colours in a mode without a palette, and how opaque they are, `None` if all are."""
    if image.has_transparency_data:
        if image.mode in ("La", "RGBa"):
            image = image.convert(image.mode.upper())
        elif image.mode in ("1", "L"):
            image = image.convert("LA")
        if image.mode not in ("LA", "RGBA"):
            image = image.convert("RGBA")
        *colours, alpha = image.split()
        return (colours[0] if len(colours) == 1 else PIL.Image.merge("RGB", colours)), alpha
    if image.mode == "P":
        return image.convert("RGB"), None
    return (image.convert("L") if image.mode == "1" else image), None


def _in_srgb(image: PIL.Image.Image, profile: object) -> PIL.Image.Image:
    transform = _profile_transform(profile, image.mode) if isinstance(profile, bytes) else None
    return image.convert("RGB") if transform is None else transform.apply(image)


@lru_cache(maxsize=32)  # the pictures of a camera or a program have the same profile
def _profile_transform(profile: bytes, mode: str):
    """Pillow's transform from a profile to sRGB, `None` if the profile changes nothing or cannot be used."""
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _PROFILE_SPACES.get(mode):
            return None  # left from before a conversion
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        return transform if mode == "CMYK" or _changes_colours(transform, mode) else None
    except ImportError as error:
        logger.warning_once(f"Colour profiles of pictures are ignored, as Pillow here has no LittleCMS: {error}")
    except Exception as error:  # LittleCMS and Pillow raise errors of many types for a damaged profile
        logger.warning_once(f"A picture's colour profile cannot be read, and its colours are taken as sRGB: {error}")
    return None


def _changes_colours(transform, mode: str) -> bool:
    levels = np.arange(256) if mode == "L" else np.linspace(0, 255, 18).round()  # steps of 15
    colours = np.stack(np.meshgrid(*[levels] * len(mode), indexing="ij"), axis=-1).astype(np.uint8)
    colours = colours.reshape(1, -1) if mode == "L" else colours.reshape(1, -1, 3)
    plain = PIL.Image.fromarray(colours)
    changed = np.asarray(transform.apply(plain), dtype=int)
    return bool(np.abs(changed - np.asarray(plain.convert("RGB"), dtype=int)).max() > _MOST_ROUNDING)


__all__ = ["PICTURE_RULES", "depends_on_rules", "to_rgb", "upright"]
