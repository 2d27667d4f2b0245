"""The lock of a bank: only one process at a time may change or replace it."""

import numbers
import time
from pathlib import Path

from filelock import FileLock, Timeout
from transformers.utils import logging

from comem_hf.files.option_names import option

from .config import CONFIG_NAME


logger = logging.get_logger(__name__)

_NAME = ".writer.lock"
_PAUSE = 0.05  # seconds between two attempts


def lock_bank(folder: Path, wait: float | None = None) -> FileLock:
    """Take the lock of a bank.

    Args:
        folder (`Path`): The bank.
        wait (`float`, *optional*): Seconds to wait while another process holds it; not given where the caller offers
            no waiting.

    Returns:
        `FileLock`: The lock, which the caller releases.

    Raises:
        ValueError: If another process holds it for longer, there is no bank, or `wait` is no number of seconds.
    """
    if wait is not None and (isinstance(wait, bool) or not isinstance(wait, numbers.Real) or not wait >= 0):
        raise ValueError(f"{option('wait')} must be a number of seconds, 0 or more, got {wait!r}.")
    lock, end, has_said = FileLock(folder / _NAME), time.monotonic() + (wait or 0), False
    while True:
        # At each attempt: another bank may have replaced it, and taking the lock would create a folder that is gone.
        if not (folder / CONFIG_NAME).is_file():
            raise ValueError(f"{str(folder)!r} is no memory bank: it has no {CONFIG_NAME}.")
        try:
            lock.acquire(timeout=0)
            return lock
        except Timeout:
            if time.monotonic() >= end:
                how = "" if wait is None else f", or give {option('wait', 600)}, seconds"
                raise ValueError(
                    f"Another process is changing the bank {str(folder)!r}; wait for it to end{how}."
                ) from None
        if not has_said:
            logger.info(f"Waiting for another process that is changing the bank {str(folder)!r}.")
            has_said = True
        time.sleep(_PAUSE)
