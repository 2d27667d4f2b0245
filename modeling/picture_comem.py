"""Opening pictures, in whatever form people have them: every picture comes through [`load_image`]."""

import base64
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
import PIL.Image
import torch
from huggingface_hub.errors import HTTPError
from transformers.image_utils import httpx  # the client that transformers itself fetches pictures with

from .picture_depth_comem import picture_of_array
from .picture_pixels_comem import to_rgb
from .picture_shrinking_comem import Use, shrink, shrink_while_decoding


MAX_ASPECT_RATIO = 200
"""Limit of Qwen2-VL's image processor, whose own error does not name the picture."""

FORMS = "a PIL image, path, data URL, base64 string, bytes, file object, array, tensor or {'bytes', 'path'}"

_WEB = ("http://", "https://")
_LONGEST_SHOWN = 200  # characters


def load_image(
    image: Any,
    name: str = "an image",
    *,
    urls: bool = False,
    timeout: float | None = None,
    max_aspect_ratio: float | None = None,
    uses: Sequence[Use] = (),
) -> PIL.Image.Image:
    """Open a picture of any form, check its size and return its pixels as the model sees them.

    These are the rules for all pictures: of memory items, questions, searches, training and the page. A bank notes
    their number, [`PICTURE_RULES`], which changes with what a picture shows, not with how a large one is made smaller.

    *Form.* A PIL image; the path of a file; a data URL or base64 string; the encoded file as bytes or as a file
    object, read from its start; an undecoded image of `datasets`, `{"bytes", "path"}`; a numpy array or torch tensor
    of shape (height, width), or with 1, 3 or 4 channels before or after these, as transformers infers it. Values of
    arrays are booleans, `uint8`, `uint16` (65535 is white), floats from 0 to 1, or other numbers from 0 to 255.
    Addresses on the web are for the processor and the pipeline only.

    *Frame.* Of an animation or a file with several pages the first; of a PIL image the one that it shows.

    *Direction.* As the EXIF data says; damaged EXIF data is ignored.

    *Depth.* Grey values of 16 bits are scaled by what the format means: black is 0 and white 65535 (in TIFF, by the
    number of bits and by which end is white). Integers of 32 bits and floats have no such meaning: floats from 0 to 1
    are scaled by 255; values from 0 to 255 stay as they are; integers up to 65535 are taken as 16 bits; any other
    range is stretched from its least value (black) to its greatest (white). What is not finite is black.

    *Colour.* A colour profile (ICC) is converted to sRGB, perceptually. One that moves no colour by more than 2 of 255
    steps is sRGB itself, and changes nothing. One that is damaged, or is for another colour space than the
    picture's, is ignored, and so are all where Pillow has no LittleCMS. CMYK without a profile is converted as Pillow
    does it.

    *Transparency.* Transparent parts are put on white, as Qwen's own tools do: alpha channels, palettes with alpha,
    and the transparent colour of PNG and GIF. That colour counts in a picture as it was opened; a PIL image that its
    owner has converted to RGB is taken as it is.

    *Size.* As the file has it; a picture with `uses` of more than a megapixel has at least twice the pixels per side
    of each use. A JPEG is decoded at a half, quarter or eighth of its size, which costs less time and memory.

    Args:
        image: The picture, in one of these forms.
        name (`str`, *optional*): Name that error messages use for a picture without a path.
        urls (`bool`, *optional*, defaults to `False`): Whether addresses on the web (`http:`, `https:`) are fetched.
        timeout (`float`, *optional*): Seconds to wait for the web; without it, there is no limit.
        max_aspect_ratio (`float`, *optional*): Refuse pictures of which one side is more than so many times the other.
        uses (`Sequence[Callable]`, *optional*): All that the picture is for: each takes the (width, height) of a
            picture and returns those that it will be resized to, or `None` if it keeps all its pixels. By default it
            does.

    Returns:
        `PIL.Image.Image`: A new picture in RGB, without metadata.

    Raises:
        ValueError: If there is no such file or address, if it is no picture, cannot be decoded, has more than
            `PIL.Image.MAX_IMAGE_PIXELS` pixels or none, or is too narrow; the message names the picture.
    """

    def read(opened: PIL.Image.Image) -> PIL.Image.Image:
        _check_pixels(opened)
        if opened is not image:  # a picture of the caller's keeps its size
            shrink_while_decoding(opened, uses)
        return shrink(to_rgb(opened), uses)

    picture = _read(image, name, read, urls, timeout)
    if max_aspect_ratio is not None:
        check_aspect_ratio(picture, picture_name(image, name), max_aspect_ratio)
    return picture


def picture_size(image: Any, name: str = "an image") -> tuple[int, int]:
    """Return the width and height of a picture, of which the beginning of its file is read and nothing decoded.

    Args:
        image, name: As for [`load_image`].

    Returns:
        `tuple[int, int]`: Pixels as the file has them, before a turn that the EXIF data says.

    Raises:
        ValueError: If there is no such file, or it is no picture, as far as its beginning shows.
    """
    return _read(image, name, lambda picture: picture.size)


def picture_source(
    image: Any, name: str = "an image", *, urls: bool = False, timeout: float | None = None
) -> PIL.Image.Image | Path | bytes:
    """Return what a picture comes from, for any form that [`load_image`] takes; nothing is decoded.

    Args:
        image, name, urls, timeout: As for [`load_image`].

    Returns:
        `PIL.Image.Image`, `Path` or `bytes`: The picture itself, its file, which may be missing, or the encoded file.

    Raises:
        ValueError: If it is of another form, cannot be fetched, or is no base64.
    """
    if isinstance(image, PIL.Image.Image):
        return image
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, str):
        return _source_of_text(image, urls, timeout)
    if isinstance(image, os.PathLike):
        return Path(os.fsdecode(image))
    if isinstance(image, (np.ndarray, torch.Tensor)):
        return picture_of_array(image, name)
    if _is_undecoded(image):
        content, path = image.get("bytes"), image.get("path")
        if isinstance(content, str):  # as JSON holds it
            return _decoded(content, name)
        if content is None and path is None:
            raise ValueError(f"{name} has neither 'bytes' nor a 'path'.")
        return picture_source(path if content is None else content, name, urls=urls, timeout=timeout)
    if hasattr(image, "read"):
        return _content_of_file(image, picture_name(image, name))
    raise ValueError(f"{name} must be {FORMS}, got {type(image).__name__}.")


def is_picture(value: Any) -> bool:
    """Whether a value is of a form that [`load_image`] takes; strings are not looked into."""
    forms = (PIL.Image.Image, str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, torch.Tensor)
    return isinstance(value, forms) or _is_undecoded(value) or hasattr(value, "read")


def picture_name(image: Any, name: str) -> str:
    """The name of a picture in messages: its path or address, shortened if it is long, or else `name`."""
    if _is_undecoded(image):
        image = image.get("path")
    elif hasattr(image, "read"):
        image = getattr(image, "name", None)  # of a file object
    return shown(os.fsdecode(image)) if isinstance(image, (str, os.PathLike)) else name


def shown(text: str) -> str:
    """A path, address or base64 string as messages show it: whole if it is short, or its start, end and length."""
    if len(text) <= _LONGEST_SHOWN:
        return repr(text)
    return f"{text[:60] + '...' + text[-40:]!r} ({len(text):,} characters)"


def is_inline(text: str) -> bool:
    """Whether a string holds the picture itself, as a data URL or in base64."""
    if text[:5].lower() == "data:":
        return True
    content = _base64(text)
    return content is not None and _is_known(content)


def picture_of_row(value: Any, folder: str | os.PathLike) -> Any:
    """Return a picture of a file of rows, such as JSONL, in a form for [`load_image`]: its paths start from `folder`.

    Args:
        value: A path, data URL, base64 string or `{"bytes", "path"}`; anything else is returned unchanged.
        folder (`str` or `os.PathLike`): The folder of the file.
    """
    if _is_undecoded(value) and value.get("bytes") is None:
        value = value.get("path")
    if not isinstance(value, (str, os.PathLike)):
        return value
    path = Path(folder, value)
    return value if isinstance(value, str) and not os.path.exists(path) and is_inline(value) else path


def check_aspect_ratio(image: PIL.Image.Image, name: str, limit: float = MAX_ASPECT_RATIO) -> None:
    """Raise a `ValueError` if one side of a picture is more than `limit` times the other."""
    if max(image.size) > limit * min(image.size):
        raise ValueError(
            f"{name} is {image.width} x {image.height} pixels; one side may be at most {limit} times the other."
        )


def _read(
    image: Any, name: str, read: Callable[[PIL.Image.Image], Any], urls: bool = False, timeout: Any = None
) -> Any:
    """Open a picture for `read`, with errors that name it."""
    source = picture_source(image, name, urls=urls, timeout=timeout)
    name = picture_name(image, name)
    try:
        if isinstance(source, PIL.Image.Image):
            return read(source)
        with PIL.Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            return read(opened)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise ValueError(
            f"{name} is too large to be opened safely: {error} Set `PIL.Image.MAX_IMAGE_PIXELS` to more to open it."
        ) from error
    except FileNotFoundError as error:
        raise ValueError(f"{name} does not exist.") from error
    except MemoryError:
        raise
    except Exception as error:  # for damaged files, the decoders of Pillow raise errors of many types
        raise ValueError(f"{name} is not a readable picture: {_reason(error, source)}") from error


def _source_of_text(text: str, urls: bool, timeout: float | None) -> Path | bytes:
    if text.startswith(_WEB):
        if not urls:
            raise ValueError(f"{shown(text)} is an address on the web, and nothing is fetched here: download it.")
        return _fetch(text, timeout)
    if text[:5].lower() == "data:":  # whatever follows: the message must not be about a file
        head, comma, body = text.partition(",")
        if not comma:
            raise ValueError(f"{shown(text)} is no data URL: it has no comma before the data.")
        return _decoded(unquote(body), shown(text)) if head.lower().endswith(";base64") else unquote_to_bytes(body)
    if not os.path.exists(text):
        if is_inline(text):
            return _decoded(text, "")
        if len(text) > _LONGEST_SHOWN:
            raise ValueError(f"{shown(text)} is neither the path of a file nor a picture in base64.")
    return Path(text)


def _is_undecoded(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and value.keys() <= {"bytes", "path"}


def _base64(text: str) -> bytes | None:
    try:
        return _decoded(text, "")
    except ValueError:
        return None


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise ValueError(f"{name} is not a picture in base64: {error}.") from error


def _is_known(content: bytes) -> bool:
    """Whether Pillow knows the format of an encoded file."""
    try:
        with PIL.Image.open(io.BytesIO(content)):
            return True
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        return True  # opening it gives the reason
    except Exception:  # of many types
        return False


def _content_of_file(file: Any, name: str) -> bytes:
    try:
        if hasattr(file, "seek") and getattr(file, "seekable", lambda: True)():
            file.seek(0)
        content = file.read()
    except (OSError, ValueError) as error:  # a ValueError if it is closed
        raise ValueError(f"{name} cannot be read: {error}.") from error
    if not isinstance(content, bytes):
        raise ValueError(f"{name} is a file object that gives {type(content).__name__}: open it with the mode 'rb'.")
    return content


def _fetch(url: str, timeout: float | None) -> bytes:
    try:
        response = httpx.get(url, timeout=timeout, follow_redirects=True)
        response.raise_for_status()
    except (HTTPError, httpx.InvalidURL) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{shown(url)} could not be fetched: {reason}.") from error
    return response.content


def _check_pixels(image: PIL.Image.Image) -> None:
    # Up to twice this number, Pillow itself only warns.
    limit = PIL.Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise PIL.Image.DecompressionBombError(f"{image.width} x {image.height} pixels, at most {limit} are allowed.")
    if 0 in image.size:
        raise ValueError(f"it is {image.width} x {image.height} pixels.")


def _reason(error: Exception, source: PIL.Image.Image | Path | bytes) -> str:
    if isinstance(error, PIL.UnidentifiedImageError) and isinstance(source, bytes):
        return "the bytes are no whole picture in a known format"  # Pillow's message holds the address of a buffer
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."  # the whole message repeats the path
    return str(error) if isinstance(error, (OSError, SyntaxError, ValueError)) and str(error) else repr(error)


__all__ = [
    "FORMS",
    "MAX_ASPECT_RATIO",
    "check_aspect_ratio",
    "is_inline",
    "is_picture",
    "load_image",
    "picture_name",
    "picture_of_row",
    "picture_size",
    "picture_source",
    "shown",
]
