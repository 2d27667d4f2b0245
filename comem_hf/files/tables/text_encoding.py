"""The encoding of a text file, which does not say it: found out, or given."""

import codecs
from pathlib import Path

from transformers.utils import logging

from comem_hf.files.option_names import option

from .opened import open_bytes


logger = logging.get_logger(__name__)

UTF_8 = "utf-8-sig"  # with a byte order mark or without
WESTERN = "cp1252"  # what Windows calls ANSI: Latin-1 with the euro sign
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which begins in the same way
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HEAD = 4096  # bytes
_SHOWN = 40  # characters


def encoding_of(path: Path, given: str | None = None) -> str:
    """The encoding of a file: the given one, that of its byte order mark, UTF-8, or that of Western Windows.

    Without a mark, zeros in every second byte mean UTF-16. Otherwise each line with letters beyond ASCII is looked at.
    If at least half of them are UTF-8, the file is, and its other lines are damaged; if not, it is `cp1252`, which is
    a guess, so a warning shows a line as it was read.

    Args:
        path (`Path`): The file; one whose name ends with `.gz` is decompressed.
        given (`str`, *optional*): The encoding, by a name that Python knows.

    Returns:
        `str`: A name for Python's codecs. With `"utf-8-sig"`, a mark is no text.

    Raises:
        ValueError: If Python does not know `given`.
    """
    if given is not None:
        try:
            known = codecs.lookup(given).name
        except LookupError:
            raise ValueError(
                f"{option('encoding')} must be an encoding that Python knows, such as 'cp1250', got {given!r}."
            ) from None
        return UTF_8 if known == "utf-8" else given
    with open_bytes(path) as file:
        head = file.read(_HEAD)
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if head.count(0) >= len(head) / 4:  # a single one is damage
        encoding = "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
        _warn(path, encoding, head[: len(head) // 2 * 2].decode(encoding, errors="replace").partition("\n")[0])
        return encoding
    return _of_lines(path)


def _of_lines(path: Path) -> str:
    good, bad, first_bad = 0, 0, b""
    with open_bytes(path) as file:
        for line in file:
            if line.isascii():
                continue
            try:
                line.decode()
                good += 1
            except UnicodeDecodeError:
                bad, first_bad = bad + 1, first_bad or line
    if good >= bad:
        return UTF_8
    _warn(path, WESTERN, first_bad.decode(WESTERN, errors="replace"))
    return WESTERN


def _warn(path: Path, encoding: str, line: str) -> None:
    shown = " ".join(line.split())
    place = next((at for at, letter in enumerate(shown) if not letter.isascii()), 0)
    start = max(0, place - _SHOWN // 2)
    logger.warning(
        f"{str(path)!r} is not UTF-8 and is read as {encoding}, such as {shown[start : start + _SHOWN]!r}; if that is "
        f"wrong, name its encoding with {option('encoding')}."
    )
