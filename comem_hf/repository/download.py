"""Downloading one file of a repository, or saying in one sentence why that failed."""

from pathlib import Path

from .errors import plain_errors, unreachable


def download(
    repo_id: str,
    repo_type: str,
    revision: str | None,
    name: str,
    *,
    is_optional: bool = False,
    is_first: bool = False,
    **options,
) -> Path | None:
    """Return the path of a file in the cache of huggingface_hub; download it first if it is not there.

    Args:
        repo_id (`str`): Id of the repository.
        repo_type (`str`): `"dataset"` or `"model"`.
        revision (`str` or `None`): Branch, tag or commit.
        name (`str`): Name of the file.
        is_optional (`bool`, defaults to `False`): Whether to return `None` for a file that is neither cached nor
            reachable, too.
        is_first (`bool`, defaults to `False`): Whether nothing is known of the repository yet, so that `repo_id` may
            also be a misspelt folder.
        options: Passed to `huggingface_hub.hf_hub_download`.

    Returns:
        `Path` or `None`: The path; `None` if the repository has no such file.

    Raises:
        OSError: If the repository cannot be read.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

    with plain_errors(repo_id, revision, repo_type=repo_type):
        try:
            return Path(hf_hub_download(repo_id, name, repo_type=repo_type, revision=revision, **options))
        except RemoteEntryNotFoundError:
            return None
        # If one thread cannot connect, huggingface_hub closes the client of all threads, which then get other errors.
        except (LocalEntryNotFoundError, RuntimeError, AttributeError) as error:
            if is_optional:
                return None
            raise OSError(unreachable(repo_id, repo_type, None if is_first else name)) from error
