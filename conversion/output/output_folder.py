"""The folder that a conversion or an export writes, whole or not at all."""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from comem_hf.files.whole_folder import whole_folder

from .replaceable import refuse_unless_replaceable


def output_folder(
    output: str | os.PathLike, kind: str, *, inputs: Iterable[str | os.PathLike | None], overwrite: bool
) -> AbstractContextManager[Path]:
    """Open a folder that becomes `output` when everything in it is written; see [`whole_folder`].

    Args:
        output (`str` or `os.PathLike`): Folder to write, which must not overlap with the inputs.
        kind (`str`): What is written, one of those of [`refuse_unless_replaceable`].
        inputs (`Iterable`): Folders that are read; other names are ignored.
        overwrite (`bool`): Whether something of the same kind in `output` may be replaced.
    """
    check_replaceable = partial(refuse_unless_replaceable, kind=kind)
    return whole_folder(output, "output", inputs=inputs, overwrite=overwrite, check_replaceable=check_replaceable)
