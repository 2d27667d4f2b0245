"""From a folder or Hub repository to a folder."""

import os
import re
from pathlib import Path


_REPO_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_BANK_FILES = ["bank_config.json", "index.faiss", "memory-*.safetensors", "items-*.parquet", "README.md"]


def bank_folder(name: str | os.PathLike, revision: str | None = None, repo_type: str = "dataset", **options) -> Path:
    """The folder of a bank, downloaded from the Hub where `name` is no folder.

    Args:
        name (`str` or `os.PathLike`): Folder, or id of a Hub repository.
        revision (`str`, *optional*): Branch, tag or commit of the repository.
        repo_type (`str`, defaults to `"dataset"`): `"dataset"` or `"model"`.
        options: Passed to `huggingface_hub.snapshot_download` (`token`, `cache_dir`, `local_files_only`, ...).

    Raises:
        ValueError: If `name` is neither a folder nor the name of a repository.
        OSError: If the repository cannot be read.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    text = str(name)
    if folder.exists() or not _REPO_ID.fullmatch(text) or text.startswith("."):
        raise ValueError(f"No memory bank at {text!r}: it is neither a folder nor the id of a Hub repository.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(
            snapshot_download(text, revision=revision, repo_type=repo_type, allow_patterns=_BANK_FILES, **options)
        )
    except RevisionNotFoundError as error:
        raise OSError(f"The {repo_type} repository {text!r} has no revision {revision!r}.") from error
    except RepositoryNotFoundError as error:
        raise OSError(
            f"No folder {text!r} here, and no {repo_type} repository of that name on the Hub that you can read."
        ) from error
    except LocalEntryNotFoundError as error:
        raise OSError(
            f"No folder {text!r} here, and the {repo_type} repository of that name is neither cached nor reachable."
        ) from error
    except HfHubHTTPError as error:
        raise OSError(f"The Hub refused {repo_type} repository {text!r}: {error}") from error
