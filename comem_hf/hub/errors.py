"""What the Hub refuses, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def plain_errors(repo_id: str, revision: str | None = None, writing: bool = False) -> Iterator[None]:
    """Have errors of huggingface_hub in the body of a `with` statement say what to do.

    Args:
        repo_id (`str`): The repository that is read or written.
        revision (`str`, *optional*): What is asked of it.
        writing (`bool`, defaults to `False`): Whether it is written.

    Raises:
        OSError: Instead of those errors.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        raise OSError(_sentence(error, repo_id, revision, writing)) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise OSError(
            f"The Hub cannot be reached to push to {repo_id!r}; push again when it can."
            if writing
            else unreachable(repo_id)
        ) from error
    except HTTPError as error:
        again = "push again to go on" if writing else "try again"
        raise OSError(f"The connection to the Hub failed for {repo_id!r}; {again}: {error}") from error


def unreachable(repo_id: str) -> str:
    """What to say of a repository that is not, or not all, in the cache where there is no network."""
    from huggingface_hub import constants

    why = " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
    return f"{repo_id!r} is neither a folder here nor (whole) in the cache, and the Hub cannot be reached{why}."


def _sentence(error: Exception, repo_id: str, revision: str | None, writing: bool) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status = error.response.status_code if error.response is not None else None
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id!r} has no revision {revision!r}: give a branch, a tag or a commit."
    if isinstance(error, GatedRepoError):
        return f"Access to {repo_id!r} must be asked for on its page, and comes with a token (`hf auth login`)."
    if writing and (status in (401, 403) or isinstance(error, RepositoryNotFoundError)):
        return f"You may not write to {repo_id!r}: log in (`hf auth login`, or HF_TOKEN) as somebody who may."
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403):
        return (
            f"There is no folder {repo_id!r} here, and no repository on the Hub that you may read; a private one "
            "needs a token (`hf auth login`, or HF_TOKEN)."
        )
    if status == 412:
        return f"Somebody else has changed {repo_id!r} meanwhile; push again."
    return f"The Hub refused to {'write' if writing else 'send'} {repo_id!r}: {error}"
