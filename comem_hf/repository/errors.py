"""Errors of the Hub, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager


LOG_IN = "log in (`hf auth login`, HF_TOKEN, or a `token`)"


def repository_label(repo_id: str, repo_type: str | None = None) -> str:
    """The name of a repository in a message; its kind need not be known."""
    return f"the {repo_type} repository {repo_id!r}" if repo_type else repr(repo_id)


@contextmanager
def plain_errors(
    repo_id: str, revision: str | None = None, *, repo_type: str | None = None, writing: bool = False
) -> Iterator[None]:
    """Have errors of huggingface_hub in the body of a `with` statement say what to do.

    Args:
        repo_id (`str`): The repository that is read or written.
        revision (`str`, *optional*): The branch, tag or commit that is asked for.
        repo_type (`str`, *optional*): `"model"` or `"dataset"`, if only that kind was tried.
        writing (`bool`, defaults to `False`): Whether it is written.

    Raises:
        OSError: If there is such an error.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    label = repository_label(repo_id, repo_type)
    try:
        yield
    except HfHubHTTPError as error:
        raise OSError(_sentence(error, repo_id, revision, repo_type, writing)) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise OSError(
            f"The Hub cannot be reached to push to {label}; push again when it can."
            if writing
            else unreachable(repo_id, repo_type)
        ) from error
    except HTTPError as error:
        again = "push again to go on" if writing else "try again"
        raise OSError(f"The connection to the Hub failed for {label}; {again}: {error}") from error


def unreachable(repo_id: str, repo_type: str | None = None, file: str | None = None) -> str:
    """The message about a repository, or a file of one, that is neither in the cache nor reachable."""
    from huggingface_hub import constants

    why = " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
    if file is not None:
        label = repository_label(repo_id, repo_type)
        return f"{file} of {label} is not in the cache, and the Hub cannot be reached{why}."
    return f"{repo_id!r} is neither a folder here nor complete in the cache, and the Hub cannot be reached{why}."


def _sentence(error: Exception, repo_id: str, revision: str | None, repo_type: str | None, writing: bool) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    label = repository_label(repo_id, repo_type)
    status = error.response.status_code if error.response is not None else None
    if isinstance(error, RevisionNotFoundError):
        return f"There is no revision {revision!r} of {label}: give a branch, a tag or a commit."
    if isinstance(error, GatedRepoError):
        return f"Ask for access to {label} on its page; then {LOG_IN}."
    if writing and (status in (401, 403) or isinstance(error, RepositoryNotFoundError)):
        return f"You may not write to {label}: {LOG_IN} as a user who has that right."
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403):
        kind = f"{repo_type} repository" if repo_type else "repository"
        other = {"model": "dataset", "dataset": "model"}.get(repo_type)
        or_other = f"; a {other} repository needs `repo_type={other!r}`" if other else ""
        return (
            f"No folder {repo_id!r} here, and no {kind} of that name on the Hub that you can read: for a private one, "
            f"{LOG_IN}{or_other}."
        )
    if status == 412:
        return f"Somebody else has changed {label} meanwhile; push again."
    return f"The Hub refused to {'write' if writing else 'send'} {label}: {error}"
