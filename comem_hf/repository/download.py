"""One file of a repository, or one sentence that says why not."""

from pathlib import Path

from .errors import plain_errors, unreachable


def download(
    repo_id: str, repo_type: str, revision: str | None, name: str, is_optional: bool = False, **options
) -> Path | None:
    """Where a file lies in the cache of huggingface_hub, after downloading it if need be.

    Args:
        repo_id (`str`): Id of the repository.
        repo_type (`str`): `"dataset"` or `"model"`.
        revision (`str` or `None`): Branch, tag or commit.
        name (`str`): Name of the file.
        is_optional (`bool`, defaults to `False`): Whether a file that is neither cached nor reachable is like one that
            the repository does not have.
        options: Passed to `huggingface_hub.hf_hub_download`.

    Returns:
        `Path`, or `None` if the repository has no such file.

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
        # A thread that cannot connect makes huggingface_hub close the client of all: the others get what comes of it.
        except (LocalEntryNotFoundError, RuntimeError, AttributeError) as error:
            if is_optional:
                return None
            raise OSError(unreachable(repo_id, repo_type, name)) from error
