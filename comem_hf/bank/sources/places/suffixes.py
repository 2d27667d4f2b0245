"""The endings of files that are read as pictures."""

from functools import cache
from pathlib import Path

import PIL.Image


# Formats that Pillow knows by name, but opens only with other programs, only on Windows, or not at all.
_NOT_READ = {
    "EPS": "Pillow draws PostScript with another program",
    "MPEG": "it is a film",
    "WMF": "Pillow draws it on Windows only",
    "BUFR": "Pillow cannot decode it",
    "GRIB": "Pillow cannot decode it",
    "HDF5": "Pillow cannot decode it",
}


@cache
def picture_suffixes() -> frozenset[str]:
    """Endings, in lower case and with their dot, of all formats that this Pillow decodes by itself."""
    known = PIL.Image.registered_extensions()
    opened = {*PIL.Image.OPEN, "MPO"} - _NOT_READ.keys()  # MPO files are opened as the JPEG files that they are, too
    return frozenset(suffix for suffix, kind in known.items() if kind in opened)


def why_not_read(path: Path) -> str:
    """Why a file that lies among pictures is not read as one."""
    suffix = path.suffix.lower()
    kind = PIL.Image.registered_extensions().get(suffix)
    if kind in _NOT_READ:
        return f"files of format {kind} are not read: {_NOT_READ[kind]}"
    if not suffix:
        return "its name has no ending that says which picture format it is"
    return f"{suffix!r} is not the ending of a picture format that is read"
