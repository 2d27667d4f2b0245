"""Places of models and memory banks: folders, or repositories, of which only the configuration is downloaded."""

from dataclasses import dataclass
from pathlib import Path

from comem_hf.bank.format.config import CONFIG_NAME
from comem_hf.repository.errors import plain_errors


MODEL, BANK = "model", "bank"
_NAMES = {"config.json": MODEL, CONFIG_NAME: BANK}


@dataclass(frozen=True)
class Place:
    """The place of an existing model or memory bank.

    Args:
        name (`str`): Folder, or id of the repository.
        kind (`str`): `"model"` or `"bank"`.
        folder (`Path`): Folder of its configuration: the folder itself, or a commit in the cache of huggingface_hub.
        repo_type (`str`, *optional*): Type of the repository: `"model"` or `"dataset"`.
        commit (`str`, *optional*): Commit of the repository.
        is_offline (`bool`): Whether the Hub could not be reached, so that only the cache can be used.
    """

    name: str
    kind: str
    folder: Path
    repo_type: str | None = None
    commit: str | None = None
    is_offline: bool = False

    @property
    def of_hub(self) -> dict[str, object]:
        """Arguments of `from_pretrained`, beside the name, to read just this commit; none for a folder."""
        return {} if self.commit is None else {"revision": self.commit, "local_files_only": self.is_offline}


def find_place(name: str, revision: str | None = None, repo_type: str | None = None, kind: str | None = None) -> Place:
    """Find a model or a memory bank, and download its configuration if it is in a repository.

    Args:
        name (`str`): Folder, or id of a repository.
        revision (`str`, *optional*): Branch, tag or commit of the repository.
        repo_type (`str`, *optional*): `"model"` or `"dataset"`; if not given, a model repository, or else a data set.
        kind (`str`, *optional*): `"model"` or `"bank"`, if only that is accepted. A bank is then looked for in a data
            set first.

    Raises:
        ValueError: If the place holds something else, `name` is neither a folder nor an id, or a folder is given a
            revision or a type.
        OSError: If there is no such repository, or it cannot be read.
    """
    folder = Path(name)
    if folder.is_dir():
        if revision or repo_type:
            raise ValueError(f"{name!r} is a folder; only repositories have a revision and a type.")
        for file, found in reversed(_names(kind).items()):
            if (folder / file).is_file():
                return Place(name, found, folder)
        raise ValueError(_nothing_in(name, kind))
    if repo_type not in (None, "model", "dataset"):
        raise ValueError(f"`repo_type` must be 'model' or 'dataset', got {repo_type!r}.")
    from comem_hf.modeling.local_paths_comem import is_repository_id

    if not is_repository_id(name):
        raise ValueError(f"There is no folder {name!r}.")  # nor is the name an id of a repository
    repo_types = {None: ("model", "dataset"), MODEL: ("model",), BANK: ("dataset", "model")}[kind]
    return _find_repository(name, revision, (repo_type,) if repo_type else repo_types, kind)


def _names(kind: str | None) -> dict[str, str]:
    return {file: found for file, found in _NAMES.items() if kind in (found, None)}


def _nothing_in(name: str, kind: str | None) -> str:
    if kind is None:
        return f"{name!r} is neither a model nor a memory bank: no config.json, no {CONFIG_NAME}."
    [file] = _names(kind)
    return f"{name!r} is no {'memory bank' if kind == BANK else 'model'}: it has no {file}."


def _find_repository(repo_id: str, revision: str | None, repo_types: tuple[str, ...], kind: str | None) -> Place:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HTTPError, RepositoryNotFoundError

    missing = something_else = None
    with plain_errors(repo_id, revision):
        for repo_type in repo_types:
            try:
                found = HfApi().repo_info(repo_id, repo_type=repo_type, revision=revision)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError as error:
                missing = error
                continue
            except (HTTPError, ConnectionError) as error:
                if isinstance(error, HfHubHTTPError):
                    raise
                # One request is enough: the client would retry for half a minute for each file.
                return _find_in_cache(repo_id, revision, repo_types, kind)
            files = {file.rfilename for file in found.siblings}
            for name, found_kind in _names(kind).items():
                if name in files and (repo_type, found_kind) != ("dataset", MODEL):
                    return _open(repo_id, revision, repo_type, name)
            something_else = ValueError(_nothing_in(repo_id, kind))
        raise something_else or missing


def _find_in_cache(repo_id: str, revision: str | None, repo_types: tuple[str, ...], kind: str | None) -> Place:
    from huggingface_hub.errors import LocalEntryNotFoundError

    for repo_type in repo_types:
        for name, found_kind in _names(kind).items():
            try:
                if (repo_type, found_kind) != ("dataset", MODEL):
                    return _open(repo_id, revision, repo_type, name, is_offline=True)
            except LocalEntryNotFoundError as error:
                missing = error
    raise missing


def _open(repo_id: str, revision: str | None, repo_type: str, name: str, is_offline: bool = False) -> Place:
    from huggingface_hub import hf_hub_download

    # By the revision, not by its commit, so that the cache records which commit the revision stands for.
    file = hf_hub_download(repo_id, name, repo_type=repo_type, revision=revision, local_files_only=is_offline)
    folder = Path(file).parent
    return Place(repo_id, _NAMES[name], folder, repo_type, folder.name, is_offline)
