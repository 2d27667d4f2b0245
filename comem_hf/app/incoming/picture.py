"""Checks of a visitor's picture."""

import base64
import io
from pathlib import Path

import PIL.Image

from comem_hf.modeling.picture_comem import check_aspect_ratio, load_image


MAX_FILE_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000  # 120 MB once decoded
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # Pillow reads more formats, some of them by running other programs


def read_picture(value: object, uploads: Path) -> PIL.Image.Image:
    """Open the picture in the page's picture field.

    Args:
        value: The field's value from the browser: `None`, or a mapping with the `path` of an uploaded file.
        uploads (`Path`): The only folder whose files are opened.

    Returns:
        `PIL.Image.Image`: The picture, upright and in RGB.

    Raises:
        ValueError: If there is no picture, or it is too big, too narrow or unreadable; the message is for the visitor.
    """
    path = value.get("path") if isinstance(value, dict) else None
    if not isinstance(path, str) or not is_upload(path, uploads):
        raise ValueError("Choose an example or upload a picture first.")
    if Path(path).stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"The file is too big: at most {MAX_FILE_BYTES // 2**20} MB are allowed.")
    try:
        with PIL.Image.open(path, formats=FORMATS) as opened:  # reads the header only
            if opened.width * opened.height > MAX_PIXELS:
                raise PIL.Image.DecompressionBombError
            picture = load_image(opened)
    except PIL.Image.DecompressionBombError as error:
        most = MAX_PIXELS // 10**6
        raise ValueError(f"The picture is too big: at most {most} million pixels are allowed.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError("This file is no picture in PNG, JPEG, WebP, GIF or BMP format.") from error
    check_aspect_ratio(picture, "The picture")
    return picture


def is_upload(path: str, uploads: Path) -> bool:
    """Whether a path, with all links and dots resolved, is a file in the folder of uploads."""
    try:
        resolved = Path(path).resolve()
        return resolved.is_relative_to(uploads.resolve()) and resolved.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, a loop of links
        return False


def data_uri(image: PIL.Image.Image, size: tuple[int, int] = (240, 160)) -> str:
    """Return a small JPEG of a picture as a `data:` URI, for use in the page itself."""
    small = load_image(image)
    small.thumbnail(size)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
