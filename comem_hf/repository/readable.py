"""Checking that a folder or a repository can be read, before anything else is done."""

import os
from collections.abc import Sequence

from comem_hf.modeling.local_paths_comem import is_repository_id

from .errors import plain_errors


def refuse_unreadable(argument: str, name: str | os.PathLike | None, files: Sequence[str]) -> None:
    """Refuse a name that is neither a folder nor a repository that can be read.

    Args:
        argument (`str`): Name of the argument, for messages.
        name (`str` or `os.PathLike`, *optional*): The folder or repository.
        files (`Sequence[str]`): Names of files, of which a repository has at least one; the first is asked for.

    Raises:
        ValueError: If `name` can be neither.
        OSError: If the repository cannot be read, or the Hub cannot be asked.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import RemoteEntryNotFoundError

    if name is None or os.path.isdir(name):
        return
    name = str(name)
    if os.path.exists(name):
        raise ValueError(f"`{argument}` {name!r} is a file; pass the folder that it lies in.")
    if not is_repository_id(name):
        raise ValueError(f"`{argument}` {name!r} is neither a folder nor a Hub repository.")
    if any(isinstance(try_to_load_from_cache(name, file), str) for file in files):
        return
    try:
        with plain_errors(name):
            try:
                hf_hub_download(name, files[0])
            except RemoteEntryNotFoundError:
                return  # it has one of the others
    except OSError as error:
        raise OSError(f"`{argument}`: {error}") from error
