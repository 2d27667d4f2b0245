"""A folder that appears under its name only when it is complete."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers.utils import logging

from .replaceable import CHECKPOINT, refuse_unless_replaceable


logger = logging.get_logger(__name__)


@contextmanager
def output_folder(
    output: str | os.PathLike,
    overwrite: bool = False,
    inputs: tuple[str | os.PathLike | None, ...] = (),
    kind: str = CHECKPOINT,
) -> Iterator[Path]:
    """
    Lends a folder to write into, and renames it to `output` if nothing went wrong; otherwise removes it.

    Args:
        output (`str` or `os.PathLike`): Folder to make; must not exist, or be empty.
        overwrite (`bool`, *optional*, defaults to `False`): Whether what is in `output` may be replaced if it is of
            the same kind, which happens once the new one is complete.
        inputs (`tuple`, *optional*): Folders that are read meanwhile, which `output` must not touch; what is no folder
            does not count.
        kind (`str`, *optional*): What is written, one of [`refuse_unless_replaceable`]'s.

    Raises:
        `ValueError`: If `output` is taken.
        `OSError`: If writing failed, for instance because the disk is full, or reading did.
    """
    output = Path(os.path.abspath(output))
    _check(output, overwrite, inputs, kind)
    partial, replaced = _beside(output), _beside(output)
    parents = _missing(output.parent)
    try:
        with _told_as_unwritable(output):
            partial.mkdir(parents=True)
        yield partial
        _put_in_place(partial, output, replaced)
    except (OSError, SafetensorError) as error:
        if sentence := _sentence(error, output, partial):
            raise OSError(sentence) from error
        raise
    finally:
        try:
            for leftover in (partial, replaced):
                shutil.rmtree(leftover, ignore_errors=True)
        finally:  # removing can be interrupted, too
            if replaced.exists():
                logger.warning(f"The folder that {output} replaced could not be removed; delete {replaced}.")
            if not os.path.exists(output):
                _remove_empty(parents)


def _check(output: Path, overwrite: bool, inputs: tuple[str | os.PathLike | None, ...], kind: str):
    real = output.resolve()
    for folder in inputs:
        if folder is None or not os.path.isdir(folder):
            continue
        folder = Path(folder).resolve()
        if real == folder or folder in real.parents or real in folder.parents:
            raise ValueError(f"`output` {str(output)!r} must lie apart from {str(folder)!r}, which is read.")
    with _told_as_unwritable(output):
        try:
            output.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
    if not output.is_dir() or output.is_symlink():
        raise ValueError(f"`output` must be a folder or not exist, got {str(output)!r}.")
    if os.path.ismount(output):
        raise ValueError(f"`output` {str(output)!r} is a mount point, which cannot be replaced; name a folder in it.")
    if not any(output.iterdir()):
        return
    if not overwrite:
        raise ValueError(f"`output` {str(output)!r} is not empty; pass `overwrite=True` (--overwrite) to replace it.")
    refuse_unless_replaceable(output, kind)


@contextmanager
def _told_as_unwritable(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"Cannot write to {output} ({error.strerror}); choose another folder.") from error


def _beside(output: Path) -> Path:
    return output.with_name(f"{output.name[:60]}.{secrets.token_hex(4)}")


def _missing(folder: Path) -> list[Path]:
    """Returns a folder and those around it, the innermost first, as far as they do not exist."""
    return [path for path in (folder, *folder.parents) if not os.path.lexists(path)]


def _remove_empty(folders: list[Path]):
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # never made, or in use by now
            return


def _put_in_place(partial: Path, output: Path, replaced: Path):
    try:
        if output.exists():
            os.replace(output, replaced)
        os.replace(partial, output)
    except BaseException:  # an interruption, too
        if replaced.exists() and not output.exists():
            os.replace(replaced, output)
        raise


def _sentence(error: OSError | SafetensorError, output: Path, partial: Path) -> str | None:
    """Says whether reading or writing failed; `None` if the error's own message is a sentence already."""
    if isinstance(error, SafetensorError):
        # The second form is that of safetensors before 0.6.
        form = r'Error while serializing: (?:I/O error: (.+?)(?: \(os error \d+\))?|IoError\(.*message: "(.+?)".*)$'
        reason = re.match(form, str(error))
        return reason and f"Nothing was written to {output}: {reason[1] or reason[2]}."
    if error.errno is None:  # of our own, or of transformers
        return None
    paths = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if name is not None]
    if not paths or any({partial, output} & {path, *path.parents} for path in paths):
        return f"Nothing was written to {output}: {error.strerror}."
    return f"Cannot read {paths[0]} ({error.strerror})."


__all__ = ["output_folder"]
