"""Photographs, made smaller while they are decoded: where they are used at a small size, nobody needs all pixels."""

from collections.abc import Callable, Iterable, Sequence

import PIL.Image


Use = Callable[[tuple[int, int]], tuple[int, int] | None]
"""From the width and height of a picture to those that it is resized to where it is used, `None` if it keeps them.

A turn of the picture by 90 degrees must turn the result, too: a file may say that it lies on its side.
"""

LARGE = 2**20
"""Pixels; pictures that have no more are not shrunk."""

_MARGIN = 2  # a shrunk picture has so many times the pixels of its use, per side: the last resize decides how it looks
_DECODED_AT = (2, 4, 8)  # decoders of JPEG skip what only larger sizes need


def shrink_while_decoding(opened: PIL.Image.Image, uses: Sequence[Use]) -> None:
    """Let a picture that was just opened be decoded at a smaller size, if its format can do that.

    Args:
        opened (`PIL.Image.Image`): The picture, which is changed.
        uses (`Sequence[Use]`): All its uses; without one, it keeps its size.
    """
    factor = _factor(opened.size, uses, _DECODED_AT)
    if factor > 1:
        opened.draft(None, (opened.width // factor, opened.height // factor))


def shrink(picture: PIL.Image.Image, uses: Sequence[Use]) -> PIL.Image.Image:
    """Return a smaller picture, the mean of squares of pixels, or the picture itself if it has to keep its size.

    A second time changes nothing.

    Args:
        picture (`PIL.Image.Image`): The picture, in RGB.
        uses (`Sequence[Use]`): All its uses; without one, it keeps its size.
    """
    factor = _factor(picture.size, uses, range(2, min(picture.size) // _MARGIN + 1))
    return picture if factor == 1 else picture.reduce(factor)


def shrunk_size(size: tuple[int, int], uses: Sequence[Use]) -> tuple[int, int]:
    """Return the size of a picture after [`shrink`]; where it was already decoded at a smaller one, a little less."""
    return _divided(size, _factor(size, uses, range(2, min(size) // _MARGIN + 1)))


def _factor(size: tuple[int, int], uses: Sequence[Use], factors: Iterable[int]) -> int:
    """The least factor that makes a large picture a small one, or else the largest that its uses allow."""
    best = 1
    if size[0] * size[1] <= LARGE or not uses:
        return best
    used = [use(size) for use in uses]
    if None in used:
        return best
    most = min(side // (_MARGIN * least) for sizes in used for side, least in zip(size, sizes, strict=True))
    for factor in factors:
        if factor > most:
            break
        smaller = _divided(size, factor)
        if [use(smaller) for use in uses] == used:  # rounding may lead to another grid of patches
            best = factor
            if smaller[0] * smaller[1] <= LARGE:
                break
    return best


def _divided(size: tuple[int, int], factor: int) -> tuple[int, int]:
    return -(-size[0] // factor), -(-size[1] // factor)


__all__ = ["LARGE", "Use", "shrink", "shrink_while_decoding", "shrunk_size"]
