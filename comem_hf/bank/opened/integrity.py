"""Checks of a bank's files against `bank_config.json`."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from comem_hf.bank.format.config import CONFIG_NAME, BankConfig
from comem_hf.files.whole_file import file_entry


_POINTER = b"version https://git-lfs"


def check_files(
    folder: Path,
    config: BankConfig,
    hash_up_to: float = math.inf,
    progress: Callable[[int], object] = lambda size: None,
    names: Sequence[str] | None = None,
) -> None:
    """Compare the data files of a bank with their sizes and checksums; the card may be edited freely.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration.
        hash_up_to (`float`): If the files together have more bytes than this, only their sizes are checked.
        progress (`Callable[[int], object]`, *optional*): Called with the size of each file that is checked.
        names (`list[str]`, *optional*): Data files to check; all if not given.

    Raises:
        ValueError: If a file is missing or differs; the message names the first one.
    """
    names = config.data_files() if names is None else names
    hashed = sum(config.files[name]["size"] for name in names) <= hash_up_to
    for name in names:
        path, entry = folder / name, config.files[name]
        if not path.is_file():
            check_unchanged(folder, config)
            raise ValueError(f"The bank {str(folder)!r} is incomplete: {name} is missing; copy it again.")
        size = path.stat().st_size
        if size != entry["size"]:
            with open(path, "rb") as file:
                if file.read(len(_POINTER)) == _POINTER:
                    raise ValueError(f"{str(path)!r} is a pointer to a file in Git LFS: run `git lfs pull`.")
            raise ValueError(f"{str(path)!r} is damaged: it has {size} bytes, {CONFIG_NAME} says {entry['size']}.")
        if hashed and file_entry(path) != entry:
            raise ValueError(f"{str(path)!r} is damaged: its sha256 is not the one in {CONFIG_NAME}.")
        progress(size)


def check_unchanged(folder: Path, config: BankConfig) -> None:
    """Raise a `ValueError` if the configuration of the bank has changed: then a file may be gone for that reason."""
    if BankConfig.load(folder) != config:
        raise ValueError(f"The bank {str(folder)!r} has been changed since it was opened; `reload()` it first.")


@contextmanager
def say_if_changed(folder: Path, config: BankConfig) -> Iterator[None]:
    """Raise a `ValueError` if a file is missing because a writer has changed the bank meanwhile."""
    try:
        yield
    except FileNotFoundError:
        check_unchanged(folder, config)
        raise
