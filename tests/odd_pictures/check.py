"""Builds a bank of the test images in Pillow's source distribution: each file is stored, or skipped by its name."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path


def fetch(folder: Path) -> Path:
    """Bring the source distribution of the installed Pillow into a folder; return the folder of its test images.

    Nothing is done if they are there already.
    """
    name = f"pillow-{version('pillow')}"
    images = folder / name / "Tests" / "images"
    if not images.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        with tempfile.TemporaryDirectory(dir=folder) as download:
            sdist_only = ["--no-deps", "--no-binary", "pillow", name.replace("-", "==")]
            subprocess.run([*pip, "download", "--dest", download, *sdist_only], check=True)
            with tarfile.open(next(Path(download).glob("*.tar.gz"))) as archive:
                archive.extractall(download, filter="data")
            Path(download, name).rename(folder / name)
    return images


def unaccounted(images: Path, stored: Iterable[str], reasons: Sequence[str]) -> list[str]:
    """Files that are neither stored nor skipped, or that are both.

    Args:
        images (`Path`): The folder.
        stored (`Iterable[str]`): `file_name` of each item of the bank.
        reasons (`Sequence[str]`): The reasons for the skipped ones.
    """
    accounts = dict.fromkeys((path for path in images.rglob("*") if path.is_file()), 0)
    for name in stored:
        accounts[images / name] = accounts.get(images / name, 0) + 1
    for path in accounts:
        accounts[path] += sum(reason.startswith(f"{str(path)!r}: ") for reason in reasons)
    return sorted(str(path) for path, number in accounts.items() if number != 1)


def main(folder: Path) -> int:
    """Build the bank with the embedded model, and print the numbers of files; the exit status."""
    from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
    from comem_hf.bank.encoding.skipped import read_skipped
    from comem_hf.bank.sources import open_source
    from comem_hf.default import default_path

    images = fetch(folder)
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model"))
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    with tempfile.TemporaryDirectory(dir=folder) as output:
        bank = MemoryBank.build(open_source(images), model=model, processor=processor, output_dir=Path(output, "bank"))
        bank.verify()
        stored = [bank[item_id].metadata["file_name"] for item_id in bank.ids]
        reasons = [entry["reason"] for entry in read_skipped(bank.folder)]
    lost = unaccounted(images, stored, reasons)
    no_pictures = sum("it is not read: " in reason for reason in reasons)
    print(f"{len(stored) + len(reasons)} files: {len(stored)} stored, {len(reasons)} skipped by name")
    print(f"of the skipped ones, {no_pictures} have no ending of a picture that is read")
    print("".join(f"neither stored nor skipped, or both: {path}\n" for path in lost), end="")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
