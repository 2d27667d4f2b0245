"""One file of a Hub repository, or one sentence that says why not."""

from pathlib import Path

from comem_hf.bank.format.config import CONFIG_NAME


def repository_label(repo_id: str, repo_type: str) -> str:
    """What to call a repository in a message."""
    return f"the {repo_type} repository {repo_id!r}"


def download(
    repo_id: str, repo_type: str, revision: str | None, name: str, is_optional: bool = False, **options
) -> Path | None:
    """Where a file of a bank lies in the cache of huggingface_hub, after downloading it if need be.

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
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository = repository_label(repo_id, repo_type)
    try:
        return Path(hf_hub_download(repo_id, name, repo_type=repo_type, revision=revision, **options))
    except RemoteEntryNotFoundError:
        return None
    except RevisionNotFoundError as error:
        raise OSError(f"There is no revision {revision!r} of {repository}.") from error
    except GatedRepoError as error:
        raise OSError(f"Access to {repository} must be asked for on its page, and comes with a token.") from error
    except RepositoryNotFoundError as error:
        other = "model" if repo_type == "dataset" else "dataset"
        raise OSError(
            f"No folder {repo_id!r} here, and no {repo_type} repository of that name on the Hub that you can read: "
            f"a private one needs a `token`, a {other} repository `repo_type={other!r}`."
        ) from error
    # A thread that cannot connect makes huggingface_hub close the client of all: the others get what comes of that.
    except (LocalEntryNotFoundError, RuntimeError, AttributeError) as error:
        if is_optional:
            return None
        why = " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
        if name == CONFIG_NAME:
            raise OSError(
                f"No folder {repo_id!r} here, and {repository} is neither cached nor reachable{why}."
            ) from error
        raise OSError(
            f"{name} of {repository} is neither cached nor reachable{why}: connect to the Hub, and what is missing "
            "will be downloaded."
        ) from error
    except HTTPError as error:
        raise OSError(f"Could not download {name} of {repository}, try again: {error}") from error
