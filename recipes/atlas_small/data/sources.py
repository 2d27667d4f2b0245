"""Fetch the flags: the npm package `svg-country-flags` (public domain), at a pinned version and checksum."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

from comem_hf.files.whole_folder import whole_folder


PACKAGE = "svg-country-flags@1.2.10"
SHA256 = "2576650b4568c8ee1a2a6ddaa45c0246be16735f229bb40b1a0a6f40424e5213"
FLAGS_IN_PACKAGE = "package/png250px/"


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
    folder.mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(["npm", "pack", PACKAGE], cwd=folder, capture_output=True, text=True)
    if packed.returncode:
        raise RuntimeError(f"`npm pack {PACKAGE}` failed: {packed.stderr.strip()}")
    archive = (folder / packed.stdout.split()[-1]).read_bytes()
    if (found := hashlib.sha256(archive).hexdigest()) != SHA256:
        raise RuntimeError(f"{PACKAGE} has the sha256 {found}, expected {SHA256}.")
    with whole_folder(flags, "folder") as unfinished, tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(FLAGS_IN_PACKAGE):
                (unfinished / Path(member.name).name).write_bytes(tar.extractfile(member).read())
    return flags
