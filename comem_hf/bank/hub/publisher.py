"""A bank to a repository of the Hub: only what changed, and never half a bank for readers."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from transformers.utils import logging

from comem_hf.bank.format.config import CONFIG_NAME, FILE_NAME, BankConfig
from comem_hf.bank.opened.integrity import check_files, told_of_changes
from comem_hf.cards.bank_card import is_edited, render_card
from comem_hf.cards.template import CARD_NAME

from .download import download, repository_label
from .hub_files import REPO_ID, REPO_TYPES
from .item_facts import describe_items


logger = logging.get_logger(__name__)

# The Hub answers commits of some hundred files in good time.
FILES_PER_COMMIT = 256


class BankPublisher:
    """Pushes a bank to a Hub repository.

    A file is uploaded if the repository has none of that name with that sha256; it is compared with its checksum
    before. `bank_config.json` is committed together with deletions and with files that replace others, so that readers
    see the old bank or the new one. Of a big bank, new files are committed in parts before that: nothing names them
    yet. An interrupted push goes on when it is called again.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration.
        fetch (`Callable[[list[str]], None]`, *optional*): Called with names of files before they are first read.
        repo_id (`str`): Id of the repository.
        repo_type (`str`): `"dataset"` or `"model"`.
        token (`str` or `bool`, *optional*): Of a user who may write there; defaults to the stored one.
    """

    def __init__(
        self,
        folder: Path,
        config: BankConfig,
        fetch: Callable[[list[str]], None] | None,
        repo_id: str,
        repo_type: str,
        token: str | bool | None,
    ):
        from huggingface_hub import HfApi

        if repo_type not in REPO_TYPES:
            raise ValueError(f"`repo_type` must be 'dataset' or 'model', got {repo_type!r}.")
        self.folder = folder
        self.config = config
        self.fetch = fetch or (lambda names: None)
        self.repository = {"repo_id": repo_id, "repo_type": repo_type}
        self.label = repository_label(repo_id, repo_type)
        self.api = HfApi(token=token)

    def push(
        self,
        private: bool | None,
        license: str | None,
        commit_message: str | None,
        revision: str | None,
        create_pr: bool,
        model_id: str | None,
        model_revision: str | None,
    ):
        """See [`MemoryBank.push_to_hub`]."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        config = self.config if license is None else replace(self.config, license=license)
        if model_id is not None:
            if not REPO_ID.fullmatch(model_id):
                raise ValueError(f"`model_id` must be the id of a repository, got {model_id!r}.")
            config = replace(config, model={"id": model_id, "revision": model_revision})
        with _plain_errors(self.label), told_of_changes(self.folder, self.config):
            head, present = self._open(private, revision)
            config, card = self._describe(config, head, present)
            *parts, last = self._parts(config, present)
            message = commit_message or f"Push a memory bank of {config.num_items} items"
            commit = partial(self._commit, message=message, total=len(parts) + 1)
            for number, names in enumerate(parts, 1):
                done = commit(self._additions(names), number, revision, create_pr, head)
                head, revision, create_pr = done.oid, done.pr_revision or revision, False
            ours = {*config.data_files(), CARD_NAME}
            operations = [
                *self._additions(last),
                *([CommitOperationAdd(CARD_NAME, card)] if card is not None else []),
                CommitOperationAdd(CONFIG_NAME, config.to_json().encode()),
                *(CommitOperationDelete(name) for name in present if FILE_NAME.fullmatch(name) and name not in ours),
            ]
            return commit(operations, len(parts) + 1, revision, create_pr, head)

    def _open(self, private: bool | None, revision: str | None) -> tuple[str, dict[str, str | None]]:
        """The latest commit of the repository and the sha256 of its files (`None`: kept in git), by name."""
        from huggingface_hub.hf_api import RepoFile

        self.repository["repo_id"] = self.api.create_repo(**self.repository, private=private, exist_ok=True).repo_id
        if revision is not None and not revision.startswith("refs/"):
            self.api.create_branch(**self.repository, branch=revision, exist_ok=True)
        head = self.api.repo_info(**self.repository, revision=revision)
        if private and not head.private:
            raise ValueError(f"`private` is True, but {self.label} is there already and public.")
        entries = self.api.list_repo_tree(**self.repository, revision=head.sha)
        present = {entry.path: entry.lfs and entry.lfs.sha256 for entry in entries if isinstance(entry, RepoFile)}
        return head.sha, present

    def _describe(self, config: BankConfig, head: str, present: Iterable[str]) -> tuple[BankConfig, bytes | None]:
        """Configuration and card to push; no card if the repository's has been edited and this bank's has not."""
        get = partial(download, **self.repository, revision=head, token=self.api.token)
        before = None
        if CONFIG_NAME in present:
            try:
                before = BankConfig.load(get(name=CONFIG_NAME).parent)
            except ValueError as error:
                logger.warning(f"The {CONFIG_NAME} of {self.label} is replaced, though it cannot be read: {error}")
        license = config.license or (before.license if before else None)
        model = config.model
        if not model.get("id") and before and before.memory_fingerprint == config.memory_fingerprint:
            model = before.model  # which an earlier push has named
        config = replace(config, license=license, model=model, files=dict(config.files))
        card = self.folder / CARD_NAME
        if is_edited(card, config):
            return config, card.read_bytes()
        if CARD_NAME in present and is_edited(get(name=CARD_NAME), before):
            return config, None
        self.fetch([name for name in config.data_files() if name.startswith("items-")])
        text = render_card(config, **self.repository, contents=describe_items(self.folder, config)).encode()
        config.files[CARD_NAME] = {"sha256": hashlib.sha256(text).hexdigest(), "size": len(text)}
        return config, text

    def _parts(self, config: BankConfig, present: Mapping[str, str | None]) -> list[list[str]]:
        """Names of the files of each commit; those that replace others are in the last."""
        changed = [name for name in config.data_files() if present.get(name) != config.files[name]["sha256"]]
        new = [name for name in changed if name not in present]
        parts = [new[start : start + FILES_PER_COMMIT] for start in range(0, len(new), FILES_PER_COMMIT)] or [[]]
        parts[-1] += [name for name in changed if name in present]
        return parts

    def _additions(self, names: list[str]) -> list:
        from huggingface_hub import CommitOperationAdd

        self.fetch(names)
        check_files(self.folder, self.config, names=names)
        return [CommitOperationAdd(name, str(self.folder / name)) for name in names]

    def _commit(
        self,
        operations: list,
        number: int,
        revision: str | None,
        create_pr: bool,
        parent: str,
        message: str,
        total: int,
    ):
        return self.api.create_commit(
            **self.repository,
            operations=operations,
            commit_message=message if total == 1 else f"{message} (part {number} of {total})",
            revision=revision,
            create_pr=create_pr,
            parent_commit=parent,
        )


@contextmanager
def _plain_errors(repository: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    try:
        with warnings.catch_warnings():  # a model repository was asked for
            warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
            yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (401, 403, 404):
            reason = f"You cannot write to {repository}: log in as someone who may, or pass a `token` that may write."
            raise OSError(reason) from error
        if status == 412:
            raise OSError(f"Somebody else has changed {repository} meanwhile; push again.") from error
        raise OSError(f"The Hub refused the push to {repository}: {error}") from error
    except HTTPError as error:
        raise OSError(f"The push to {repository} was interrupted; push again to go on: {error}") from error
