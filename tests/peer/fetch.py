"""Brings the tests that the source distribution of the installed transformers carries into a folder."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import transformers


# Not `tests`, which is this repository's own.
PACKAGE = "transformers_tests"
TORCHVISION = "torchvision==0.28.0"  # of the torch in constraints.txt


def fetch(folder: Path):
    """Make a package of transformers' test files, and one of what they import beside this project's packages.

    They are `folder/transformers_tests` and `folder/packages`. Nothing is done if the folder holds the tests of this
    version already.
    """
    pin = version("transformers")
    stamp = folder / f"transformers-{pin}"
    if stamp.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(dir=folder) as download:
        sdist_only = ["--no-deps", "--no-binary", "transformers", f"transformers=={pin}"]
        subprocess.run([*pip, "download", "--dest", download, *sdist_only], check=True)
        with tarfile.open(next(Path(download).glob("*.tar.gz"))) as archive:
            archive.extractall(download, filter="data")
        shutil.copytree(Path(download, f"transformers-{pin}", "tests"), folder / PACKAGE)
    (folder / PACKAGE / "__init__.py").touch()
    # Some of the tests look for the library's source here; it is the installed one.
    (folder / "src").mkdir()
    os.symlink(Path(transformers.__file__).parent, folder / "src" / "transformers")

    packages = ["parameterized"] + ([TORCHVISION] if find_spec("torchvision") is None else [])
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "packages"), *packages], check=True)
    for operators in (folder / "packages" / "torchvision").glob("_C*"):
        operators.unlink()  # they fit one build of torch, and its Python is all that is used
    stamp.touch()


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
