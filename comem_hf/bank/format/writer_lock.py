"""The lock of a bank: only one process at a time may change or replace it."""

from pathlib import Path

from filelock import FileLock, Timeout

from .config import CONFIG_NAME


_NAME = ".writer.lock"


def lock_bank(folder: Path) -> FileLock:
    """Take the lock of a bank.

    Args:
        folder (`Path`): The bank.

    Returns:
        `FileLock`: The lock, which the caller releases.

    Raises:
        ValueError: If another process holds it, or there is no bank.
    """
    if not (folder / CONFIG_NAME).is_file():  # taking the lock would create the folder
        raise ValueError(f"{str(folder)!r} is no memory bank: it has no {CONFIG_NAME}.")
    lock = FileLock(folder / _NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"Another process is changing the bank {str(folder)!r}; wait for it to end.") from None
    return lock
