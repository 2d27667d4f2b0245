"""Folders that are either whole or not there: filled beside their place, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .whole_file import sync_folder


_OURS = {"lock", "work"}


def check_name(folder: Path, argument: str) -> None:
    """Raises a `ValueError` that names the argument if nothing can be made beside `folder` by its name."""
    if folder.name in ("", ".."):
        raise ValueError(f"`{argument}` must end in the name of a folder, got {str(folder)!r}; write the name out.")


@contextmanager
def new_folder(target: Path, argument: str) -> Iterator[Path]:
    """Give a folder to fill; it gets its name when the context is left without an exception.

    The work is done in `<target>.unfinished`. What a process that died has left there is removed.

    Args:
        target (`Path`): New, or an empty folder.
        argument (`str`): What the user calls it.

    Yields:
        `Path`: The folder to fill; what is put beside it does not stay.

    Raises:
        ValueError: If `target` is anything else, or another process is filling it.
    """
    check_name(target, argument)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"`{argument}` {str(target)!r} exists and is not an empty folder.")
    unfinished = target.with_name(f"{target.name}.unfinished")
    if unfinished.exists() and not {entry.name for entry in unfinished.iterdir()} <= _OURS:
        raise ValueError(f"{str(unfinished)!r} is in the way: it is not the rest of an unfinished copy.")
    unfinished.mkdir(parents=True, exist_ok=True)
    lock = FileLock(unfinished / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"Another process is writing {str(target)!r}; wait for it to end.") from None
    try:
        shutil.rmtree(unfinished / "work", ignore_errors=True)
        folder = unfinished / "work" / "whole"
        folder.mkdir(parents=True)
        yield folder
        os.replace(folder, target)
        sync_folder(target.parent)
    finally:
        remove_locked(unfinished, lock)


def remove_locked(folder: Path, lock: FileLock) -> None:
    """Remove a folder together with the lock in it, before anybody else can take that."""
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    if os.name == "nt":  # which removes no file that is open
        shutil.rmtree(folder, ignore_errors=True)
