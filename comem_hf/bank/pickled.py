"""Pickles of banks, which name a folder or a repository and hold no data."""

import os
from pathlib import Path
from typing import Any

from comem_hf.bank.hub.hub_files import HubFiles


# How the Hub is read from another process, too; tokens stay out of pickles.
_KEPT_OPTIONS = ("cache_dir", "endpoint", "etag_timeout", "local_files_only")


def address_of(folder: Path, remote: HubFiles | None) -> dict[str, Any]:
    """Return the arguments of [`MemoryBank.from_pretrained`] that open the same bank in another process.

    Args:
        folder (`Path`): The bank.
        remote (`HubFiles`, *optional*): Its repository.
    """
    if remote is None:
        return {"repo_or_dir": os.path.abspath(folder)}
    options = {name: value for name, value in remote.options.items() if name in _KEPT_OPTIONS}
    return {
        "repo_or_dir": remote.repo_id,
        "revision": remote.commit,
        "repo_type": remote.repo_type,
        "memories": remote.memories,
        **options,
    }


def open_pickled(bank_class: type, address: dict[str, Any]):
    """Open the bank that a pickle names.

    Args:
        bank_class (`type`): [`MemoryBank`], or a class of its own.
        address (`dict`): What [`address_of`] returned.

    Raises:
        ValueError: If the bank cannot be opened there.
    """
    try:
        return bank_class.from_pretrained(**address)
    except (OSError, ValueError) as error:
        raise ValueError(
            "A pickled memory bank is only the name of its folder or repository, and there it cannot be opened; if it "
            f"was moved, open it by its new name with `MemoryBank.from_pretrained`. {error}"
        ) from error
