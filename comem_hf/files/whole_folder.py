"""Folders that are either whole or not there: filled beside their place, then renamed."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from safetensors import SafetensorError
from transformers.utils import logging

from .option_names import option
from .work_folder import WorkFolder, cannot_write


logger = logging.get_logger(__name__)


@contextmanager
def whole_folder(
    target: str | os.PathLike,
    argument: str,
    *,
    inputs: tuple[str | os.PathLike | None, ...] = (),
    overwrite: bool | None = None,
    check_replaceable: Callable[[Path], None] = lambda folder: None,
) -> Iterator[Path]:
    """Give a folder to fill, which gets its name if the `with` statement ends without an error, and else is removed.

    The work is done in `<target>.unfinished`. A process that was killed leaves files there; the next process removes
    them, and brings back a folder that was about to be replaced.

    Args:
        target (`str` or `os.PathLike`): A new or empty folder.
        argument (`str`): The user's name for it, for messages.
        inputs (`tuple`, *optional*): Folders that are read meanwhile; they must not contain `target` or lie in it.
            Names that are no folder are ignored.
        overwrite (`bool`, *optional*): Whether the content of `target` may be replaced, once the new folder is whole;
            `None` if that is not offered.
        check_replaceable (`Callable[[Path], None]`, *optional*): Called with the folder that is to be replaced; raises
            an error if it must not be.

    Yields:
        `Path`: The folder to fill; files that are put beside it do not stay.

    Raises:
        ValueError: If `target` is taken, or another process is filling it.
        OSError: If writing failed, for instance because the disk is full, or reading failed; the message is one
            sentence.
    """
    unfinished = WorkFolder(Path(target), argument)
    target = unfinished.target
    refuse_inside(target, argument, inputs)
    check = partial(refuse_taken, target, argument, overwrite, check_replaceable)
    check()
    parents = [path for path in (target.parent, *target.parent.parents) if not os.path.lexists(path)]
    try:
        unfinished.take()
        try:
            check()  # again: an old folder may have got its name back
            yield from _filled(unfinished, check)
        finally:
            unfinished.remove()
            if unfinished.work.exists() or (unfinished.path / "discarded").exists():
                logger.warning(f"{unfinished.path} could not be removed; delete it.")
    finally:
        if not os.path.exists(target):
            _remove_empty(parents)


def refuse_taken(
    target: Path,
    argument: str,
    overwrite: bool | None = None,
    check_replaceable: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Refuse a target that [`whole_folder`] would refuse, without creating anything."""
    with cannot_write(target):
        try:
            target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
    if not target.is_dir() or target.is_symlink():
        raise ValueError(f"`{argument}` must be a folder or not exist, got {str(target)!r}.")
    if os.path.ismount(target):
        raise ValueError(
            f"`{argument}` {str(target)!r} is a mount point, which cannot be replaced; name a folder in it."
        )
    if not any(target.iterdir()):
        return
    if not overwrite:
        replace = f"pass {option('overwrite', True)} to replace it"
        way_out = "choose a new folder" if overwrite is None else replace
        raise ValueError(f"`{argument}` {str(target)!r} is not empty; {way_out}.")
    check_replaceable(target)


def refuse_inside(target: Path, argument: str, inputs: tuple[str | os.PathLike | None, ...]) -> None:
    """Raise a `ValueError` if `target` is a folder that is read, contains one, or lies in one."""
    real = target.resolve()
    for folder in inputs:
        if folder is None or not os.path.isdir(folder):
            continue
        folder = Path(folder).resolve()
        if real == folder or folder in real.parents or real in folder.parents:
            raise ValueError(
                f"`{argument}` {str(target)!r} must not be, contain or lie in the input folder {str(folder)!r}."
            )


def _filled(unfinished: WorkFolder, check: Callable[[], None]) -> Iterator[Path]:
    shutil.rmtree(unfinished.work, ignore_errors=True)
    folder, target = unfinished.making, unfinished.target
    try:
        folder.mkdir(parents=True)
        yield folder
        unfinished.put_in_place(folder, check)
    except (OSError, SafetensorError) as error:
        if sentence := _sentence(error, target, unfinished.path):
            raise OSError(sentence) from error
        raise


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # never made, or in use by now
            return


def _sentence(error: Exception, target: Path, unfinished: Path) -> str | None:
    """Whether reading or writing failed, as a sentence; `None` if the error's own message is one already."""
    if not isinstance(error, OSError):
        # The second form is that of safetensors before 0.6.
        form = r'Error while serializing: (?:I/O error: (.+?)(?: \(os error \d+\))?|IoError\(.*message: "(.+?)".*)$'
        reason = re.match(form, str(error))
        return reason and f"Nothing was written to {target}: {reason[1] or reason[2]}."
    if error.errno is None:  # an error of our own, or of transformers
        return None
    paths = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if name is not None]
    if not paths or any({unfinished, target} & {path, *path.parents} for path in paths):
        return f"Nothing was written to {target}: {error.strerror}."
    return f"Cannot read {paths[0]} ({error.strerror})."
