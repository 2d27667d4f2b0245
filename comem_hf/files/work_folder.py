"""The work folder beside a target folder, in which the target is made before it gets its name."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from transformers.utils import logging

from .whole_file import sync_folder


logger = logging.get_logger(__name__)

_LONGEST_NAME = 240  # bytes; file systems allow 255, and an ending follows


class WorkFolder:
    """`<target>.unfinished`, held by one process at a time.

    It holds `lock`, `work/` (the new folder is in it) and `replaced/` (the old folder, between the two renames that
    put the new one in its place). A process that dies between the renames loses neither folder.

    Args:
        target (`Path`): The folder to be made.
        argument (`str`): The user's name for it, for messages.
        making (`str`, *optional*, defaults to `"work/whole"`): Where in the work folder the new folder is made.
        parts (`Set[str]`, *optional*): Names of other files and folders that may lie here.

    Raises:
        ValueError: If `target` does not end in the name of a folder.
    """

    def __init__(self, target: Path, argument: str, making: str = "work/whole", parts: Set[str] = frozenset()):
        if target.name in ("", ".."):
            raise ValueError(
                f"`{argument}` must end in the name of a folder, got {str(target)!r}; write the name out."
            )
        self.target = target.absolute()  # a change of the working directory must not move it
        self.path = work_path(self.target)
        self.work = self.path / "work"
        self.making = self.path / making
        self.replaced = self.path / "replaced"
        self._discarded = self.path / "discarded"
        self._parts = {"lock", "work", "replaced", "discarded", *parts}
        self._lock = FileLock(self.path / "lock")

    def take(self, before_return: Callable[[], None] = lambda: None) -> None:
        """Make the folder if it is not there, take its lock, and bring back an old folder that a dead process held.

        Args:
            before_return (`Callable[[], None]`, *optional*): Called before an old folder gets its name back.

        Raises:
            ValueError: If something else is in the way, or another process holds the lock.
            OSError: If the folder cannot be made.
        """
        with cannot_write(self.target):
            names = {entry.name for entry in self.path.iterdir()} if self.path.exists() else set()
            if foreign := sorted(names - self._parts):
                raise ValueError(
                    f"{str(self.path)!r} is in the way: it holds {foreign[0]!r}, which a call of this kind does not "
                    "make. Finish the call that made it, or move the folder away."
                )
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"Another process is writing {str(self.target)!r}; wait for it to end.") from None
        try:
            self._bring_back(before_return)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock, and leave everything else to the next process."""
        self._lock.release()

    def remove(self) -> None:
        """Remove the folder, unless it holds the only copy of an old folder: the next process brings that back."""
        if self.replaced.exists() and not self.target.exists():
            return self.release()
        self.discard_replaced()
        for entry in self.path.glob("*"):
            if entry.name != "lock":
                shutil.rmtree(entry, ignore_errors=True)
        if os.name == "nt":  # Windows removes no file that is open
            self.release()
        # The lock goes last, and alone: what another process makes here after that is not ours to remove.
        with suppress(OSError):
            (self.path / "lock").unlink()
        self.release()
        with suppress(OSError):
            self.path.rmdir()

    def put_in_place(self, folder: Path, check: Callable[[], None] = lambda: None) -> None:
        """Give `folder`, which lies here, the name of the target; a folder of that name moves to `replaced/`.

        Args:
            folder (`Path`): The new folder.
            check (`Callable[[], None]`, *optional*): Called at the last moment; raises an error if the folder that has
                the name by now must not be replaced.

        Raises:
            OSError: If that is not possible; the old folder has its name again.
        """
        sync_folder(folder)
        check()
        moves = self.target.exists()
        try:
            if moves:
                os.replace(self.target, self.replaced)
            os.replace(folder, self.target)
        except BaseException:  # an interruption, too
            if moves and self.replaced.exists() and not self.target.exists():
                os.replace(self.replaced, self.target)
            raise
        try:
            sync_folder(self.target.parent)
        except OSError as error:  # the folder is whole and has its name all the same
            logger.warning(f"The name of {str(self.target)!r} could not be forced to disk: {error}")

    def discard_replaced(self) -> None:
        """Remove the old folder, at one stroke: a half of it must never be brought back."""
        shutil.rmtree(self._discarded, ignore_errors=True)
        if self.replaced.exists():
            os.replace(self.replaced, self._discarded)
            shutil.rmtree(self._discarded, ignore_errors=True)

    def _bring_back(self, before_return: Callable[[], None]) -> None:
        if not self.replaced.exists():
            return
        if not self.target.exists() or self.target.is_dir() and not any(self.target.iterdir()):
            before_return()
            if self.target.exists():
                self.target.rmdir()
            os.replace(self.replaced, self.target)
            sync_folder(self.target.parent)
            logger.warning(f"Restored {str(self.target)!r}: an interrupted call was replacing it.")
            return
        if self.making.exists():  # the new folder never got the name
            raise ValueError(
                f"An interrupted call was replacing {str(self.target)!r} and left the old folder in "
                f"{str(self.replaced)!r}, but another one has its name by now: move one of them away."
            )
        self.discard_replaced()


def work_path(target: Path) -> Path:
    """Where the work folder of a folder lies."""
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return target.with_name(f"{name}.unfinished")


@contextmanager
def cannot_write(target: Path) -> Iterator[None]:
    """Have an `OSError` in the body of a `with` statement say that the folder cannot be written to."""
    try:
        yield
    except OSError as error:
        raise OSError(f"Cannot write to {target} ({error.strerror}); choose another folder.") from error
