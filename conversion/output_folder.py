"""A folder that appears under its name only when it is complete."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers.utils import CONFIG_NAME


@contextmanager
def output_folder(
    output: str | os.PathLike,
    overwrite: bool = False,
    inputs: tuple[str | os.PathLike | None, ...] = (),
    mark: str = CONFIG_NAME,
) -> Iterator[Path]:
    """
    Lends a folder to write into, and renames it to `output` if nothing went wrong; otherwise removes it.

    Args:
        output (`str` or `os.PathLike`): Folder to make; must not exist, or be empty.
        overwrite (`bool`, *optional*, defaults to `False`): Whether a checkpoint in `output` may be replaced, which
            happens once the new one is complete.
        inputs (`tuple`, *optional*): Folders that are read meanwhile, which `output` must not touch; what is no folder
            does not count.
        mark (`str`, *optional*, defaults to `"config.json"`): File without which a folder is not replaced.

    Raises:
        `ValueError`: If `output` is taken.
        `OSError`: If writing failed, for instance because the disk is full.
    """
    output = Path(os.path.abspath(output))
    _check(output, overwrite, inputs, mark)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=output.parent, prefix=f"{output.name}."))
    partial.chmod(0o755)  # mkdtemp's own is for the owner alone
    try:
        yield partial
        _put_in_place(partial, output)
    except OSError as error:
        raise OSError(f"Nothing was written to {output}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check(output: Path, overwrite: bool, inputs: tuple[str | os.PathLike | None, ...], mark: str):
    real = output.resolve()
    for folder in inputs:
        if folder is None or not os.path.isdir(folder):
            continue
        folder = Path(folder).resolve()
        if real == folder or folder in real.parents or real in folder.parents:
            raise ValueError(f"`output` {str(output)!r} must lie apart from {str(folder)!r}, which is read.")
    if not os.path.lexists(output):
        return
    if not output.is_dir() or output.is_symlink():
        raise ValueError(f"`output` must be a folder or not exist, got {str(output)!r}.")
    if not any(output.iterdir()):
        return
    if not overwrite:
        raise ValueError(f"`output` {str(output)!r} is not empty; pass `overwrite=True` (--overwrite) to replace it.")
    if not (output / mark).is_file():
        raise ValueError(f"`output` {str(output)!r} holds no {mark} to replace; choose another folder.")


def _put_in_place(partial: Path, output: Path):
    if not output.exists():
        os.replace(partial, output)
        return
    replaced = Path(tempfile.mkdtemp(dir=output.parent, prefix=f"{output.name}."))
    os.replace(output, replaced)
    try:
        os.replace(partial, output)
    except OSError:
        os.replace(replaced, output)
        raise
    shutil.rmtree(replaced)


__all__ = ["output_folder"]
