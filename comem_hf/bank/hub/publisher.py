"""Pushing a bank to a Hub repository: only changed files, and never half a bank for readers."""

import hashlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from transformers.utils import logging

from comem_hf.bank.changing.without_removed import without_removed
from comem_hf.bank.format.config import CONFIG_NAME, BankConfig
from comem_hf.bank.format.file_names import FILE_NAME
from comem_hf.bank.opened.integrity import check_files, say_if_changed
from comem_hf.bank.opened.state import BankState
from comem_hf.cards.bank_card import is_edited, own_card, render_card
from comem_hf.cards.check import check_card
from comem_hf.cards.licenses import check_license
from comem_hf.cards.template import CARD_NAME
from comem_hf.modeling.local_paths_comem import is_repository_id
from comem_hf.repository.errors import plain_errors, repository_label
from comem_hf.repository.push_target import PushTarget

from .hub_files import REPO_TYPES
from .item_facts import describe_items


logger = logging.get_logger(__name__)

# The Hub answers commits of a few hundred files soon enough.
FILES_PER_COMMIT = 256


class BankPublisher:
    """Pushes a bank to a Hub repository.

    Items that were removed are not pushed (see [`without_removed`]). A file is uploaded if the repository has no file
    with that name and sha256; before that, it is compared with its checksum. `bank_config.json` is committed together
    with deletions and with files that replace others, so readers see either the old bank or the new one. The new files
    of a big bank are committed in parts before that, when nothing names them yet. After an interruption, the same call
    continues the push.

    Args:
        bank (`BankState`): The bank.
    """

    def __init__(self, bank: BankState):
        self.bank = bank
        self.folder = bank.folder
        self.config = bank.config
        self.fetch = bank.fetch or (lambda names: None)

    def push(
        self,
        repo_id: str,
        *,
        repo_type: str,
        license: str | None,
        commit_message: str | None,
        model_id: str | None,
        model_revision: str | None,
        **options,
    ):
        """Push the bank; see [`MemoryBank.push_to_hub`]. `options` are further arguments of [`PushTarget`]."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        if repo_type not in REPO_TYPES:
            raise ValueError(f"`repo_type` must be 'dataset' or 'model', got {repo_type!r}.")
        check_license(license)
        own_card(self.folder, self.config)  # if the card is refused, no repository is created
        if model_id is not None and not is_repository_id(model_id):
            raise ValueError(f"`model_id` must be the id of a repository, got {model_id!r}.")
        with (
            plain_errors(repo_id, options.get("revision"), repo_type=repo_type, writing=True),
            _without_advice(),
            say_if_changed(self.folder, self.config),
            tempfile.TemporaryDirectory() as temporary,
        ):
            clean = without_removed(self.bank, Path(temporary))
            config, sources = clean.config, clean.sources
            if license is not None:
                config = replace(config, license=license)
            if model_id is not None:
                config = replace(config, model={"id": model_id, "revision": model_revision})
            target = PushTarget(repo_id, repo_type, **options)
            config, card = self._describe(config, target)
            *parts, last = self._parts(config, target.present)
            message = commit_message or f"Push a memory bank of {config.num_items} items"
            total = len(parts) + 1
            for number, names in enumerate(parts, 1):
                target.commit(self._additions(names, sources), f"{message} (part {number} of {total})")
            ours = {*config.data_files(), CARD_NAME}
            stale = [name for name in target.present if FILE_NAME.fullmatch(name) and name not in ours]
            operations = [
                *self._additions(last, sources),
                *([CommitOperationAdd(CARD_NAME, card)] if card is not None else []),
                CommitOperationAdd(CONFIG_NAME, config.to_json().encode()),
                *(CommitOperationDelete(name) for name in stale),
            ]
            return target.commit(operations, f"{message} (part {total} of {total})" if parts else message)

    def _describe(self, config: BankConfig, target: PushTarget) -> tuple[BankConfig, bytes | None]:
        """Configuration and card to push; no card if the repository's has been edited and this bank's has not."""
        before = None
        if CONFIG_NAME in target.present:
            try:
                before = BankConfig.load(target.download(CONFIG_NAME).parent)
            except ValueError as error:
                label = repository_label(**target.address)
                logger.warning(f"The {CONFIG_NAME} of {label} is replaced, though it cannot be read: {error}")
        license = config.license or (before.license if before else None)
        model = config.model
        if not model.get("id") and before and before.memory_fingerprint == config.memory_fingerprint:
            model = before.model  # an earlier push named it
        config = replace(config, license=license, model=model, files=dict(config.files))
        if (own := own_card(self.folder, self.config)) is not None:
            return config, own
        if CARD_NAME in target.present and is_edited(target.download(CARD_NAME), before):
            return config, None
        self.fetch([name for name in self.config.data_files() if name.startswith("items-")])
        text = render_card(config, **target.address, contents=describe_items(self.folder, self.config))
        check_card(text, "the generated card")
        card = text.encode()
        config.files[CARD_NAME] = {"sha256": hashlib.sha256(card).hexdigest(), "size": len(card)}
        return config, card

    def _parts(self, config: BankConfig, present: Mapping[str, str | None]) -> list[list[str]]:
        """Names of the files of each commit; files that replace others are in the last commit."""
        changed = [name for name in config.data_files() if present.get(name) != config.files[name]["sha256"]]
        new = [name for name in changed if name not in present]
        parts = [new[start : start + FILES_PER_COMMIT] for start in range(0, len(new), FILES_PER_COMMIT)] or [[]]
        parts[-1] += [name for name in changed if name in present]
        return parts

    def _additions(self, names: list[str], sources: Mapping[str, Path]) -> list:
        from huggingface_hub import CommitOperationAdd

        own = [sources[name].name for name in names if sources[name].parent == self.folder]
        self.fetch(own)
        check_files(self.folder, self.config, names=own)
        return [CommitOperationAdd(name, str(sources[name])) for name in names]


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence huggingface_hub's advice to use a data set repository: the user asked for a model repository."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="It seems that you are about to commit a data file")
        yield
