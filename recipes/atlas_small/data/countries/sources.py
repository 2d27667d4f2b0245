"""Fetch the flags: the npm package `svg-country-flags` (public domain)."""

from pathlib import Path

from comem_hf.files.whole_folder import whole_folder
from recipes.atlas_small.data.shared.npm import fetch_package


PACKAGE = "svg-country-flags@1.2.10"
SHA256 = "2576650b4568c8ee1a2a6ddaa45c0246be16735f229bb40b1a0a6f40424e5213"
FLAGS_IN_PACKAGE = "png250px/"


def fetch_flags(folder: Path) -> Path:
    """Download and unpack the flags once; needs `npm`.

    Args:
        folder (`Path`): Folder in which `flags` is made.

    Returns:
        `Path`: The folder of `xx.png` files, 250 pixels wide, named by lower-case ISO code.

    Raises:
        RuntimeError: If `npm` fails or sends another file than the pinned one.
    """
    flags = folder / "flags"
    if flags.is_dir():
        return flags
    files = fetch_package(PACKAGE, SHA256, folder)
    with whole_folder(flags, "folder") as unfinished:
        for name, content in files.items():
            if name.startswith(FLAGS_IN_PACKAGE):
                (unfinished / Path(name).name).write_bytes(content)
    return flags
