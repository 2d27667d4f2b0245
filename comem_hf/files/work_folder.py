"""The work folder beside a target folder, in which the target is made before it gets its name."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .whole_file import sync_folder


_LONGEST_NAME = 240  # bytes; file systems allow 255, and an ending follows


class WorkFolder:
    """`<target>.unfinished`, held by one process at a time.

    It holds `lock`, `work/` (the new folder) and `replaced/` (the old folder, between the two renames that put the new
    one in its place). A process that dies between the renames loses neither folder.

    Args:
        target (`Path`): The folder to be made.
        argument (`str`): The user's name for it, for messages.
        parts (`Set[str]`, *optional*): Names of other files and folders that may lie here.

    Raises:
        ValueError: If `target` does not end in the name of a folder.
    """

    def __init__(self, target: Path, argument: str, parts: Set[str] = frozenset()):
        if target.name in ("", ".."):
            raise ValueError(
                f"`{argument}` must end in the name of a folder, got {str(target)!r}; write the name out."
            )
        self.target = Path(os.path.abspath(target))
        self.path = work_path(self.target)
        self.work = self.path / "work"
        self.replaced = self.path / "replaced"
        self._parts = {"lock", "work", "replaced", *parts}
        self._lock = FileLock(self.path / "lock")

    def take(self) -> None:
        """Make the folder if it is not there, and take its lock.

        Raises:
            ValueError: If something else is in the way, or another process holds the lock.
            OSError: If the folder cannot be made.
        """
        with cannot_write(self.target):
            if self.path.exists() and not {entry.name for entry in self.path.iterdir()} <= self._parts:
                raise ValueError(
                    f"{str(self.path)!r} is in the way: it is not what an interrupted call of this kind has left."
                )
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"Another process is writing {str(self.target)!r}; wait for it to end.") from None

    def release(self) -> None:
        """Release the lock, and leave everything else to the next process."""
        self._lock.release()

    def remove(self) -> None:
        """Remove the folder together with its lock, before another process can take the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        if os.name == "nt":  # Windows removes no file that is open
            shutil.rmtree(self.path, ignore_errors=True)

    def bring_back(self) -> None:
        """Give the old folder its name again, after a process died before the new folder had that name."""
        if self.target.exists():
            self.target.rmdir()  # it is empty
        os.replace(self.replaced, self.target)
        sync_folder(self.target.parent)

    def put_in_place(self, folder: Path) -> None:
        """Give `folder`, which lies here, the name of the target; a folder of that name moves to `replaced/`.

        Raises:
            OSError: If that is not possible; the old folder has its name again.
        """
        sync_folder(folder)
        try:
            if self.target.exists():
                shutil.rmtree(self.replaced, ignore_errors=True)  # even older; its successor was put in place
                os.replace(self.target, self.replaced)
            os.replace(folder, self.target)
        except BaseException:  # an interruption, too
            if self.replaced.exists() and not self.target.exists():
                os.replace(self.replaced, self.target)
            raise
        sync_folder(self.target.parent)


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
