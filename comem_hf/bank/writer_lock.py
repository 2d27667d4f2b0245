"""Who changes or replaces a bank: one process at a time."""

from pathlib import Path

from filelock import FileLock, Timeout


_NAME = ".writer.lock"


def lock_bank(folder: Path) -> FileLock:
    """Take the lock of a bank.

    Args:
        folder (`Path`): The bank.

    Returns:
        `FileLock`: The lock, to be released.

    Raises:
        ValueError: If another process holds it.
    """
    lock = FileLock(folder / _NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"Another process is changing the bank {str(folder)!r}; wait for it to end.") from None
    return lock
