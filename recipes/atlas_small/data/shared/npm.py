"""Packages of npm, at a pinned version and checksum."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path


def fetch_package(package: str, sha256: str, folder: Path) -> dict[str, bytes]:
    """Download a package; needs `npm`.

    Args:
        package (`str`): Name and version, `name@1.2.3`.
        sha256 (`str`): The checksum of the archive.
        folder (`Path`): Folder in which the archive is kept.

    Returns:
        `dict[str, bytes]`: The files by their path in the package.

    Raises:
        RuntimeError: If `npm` fails or sends another file than the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packed = subprocess.run(["npm", "pack", package], cwd=folder, capture_output=True, text=True)
    if packed.returncode:
        raise RuntimeError(f"`npm pack {package}` failed: {packed.stderr.strip()}")
    archive = (folder / packed.stdout.split()[-1]).read_bytes()
    if (found := hashlib.sha256(archive).hexdigest()) != sha256:
        raise RuntimeError(f"{package} has the sha256 {found}, expected {sha256}.")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name.removeprefix("package/"): tar.extractfile(member).read() for member in tar if member.isfile()
        }
