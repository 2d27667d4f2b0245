"""Banks in repositories of the Hub: files of one commit, fetched when they are needed and checked."""

import inspect
import math
import os
import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from comem_hf.bank.building.staging import replaced_bank
from comem_hf.bank.format.config import CONFIG_NAME, BankConfig
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import file_entry
from comem_hf.modeling.local_paths_comem import is_local
from comem_hf.repository.download import download
from comem_hf.repository.errors import repository_label


MEMORIES = ("eager", "lazy")
REPO_TYPES = ("dataset", "model")
_SHARD = re.compile(r"(memory|items)-")
_WORKERS = 8


def hub_files(
    name: str | os.PathLike,
    revision: str | None = None,
    repo_type: str = "dataset",
    memories: str = "eager",
    hash_up_to: float = math.inf,
    **options,
) -> "HubFiles | None":
    """The files of a bank in a Hub repository, or `None` if `name` is a folder.

    Args:
        name (`str` or `os.PathLike`): Folder, or id of a Hub repository.
        revision, repo_type, memories, hash_up_to, options: See [`HubFiles`].

    Raises:
        ValueError: If `name` is neither a folder nor the name of a repository, and as in [`HubFiles`].
    """
    if memories not in MEMORIES:
        raise ValueError(f"`memories` must be 'eager' or 'lazy', got {memories!r}.")
    if repo_type not in REPO_TYPES:
        raise ValueError(f"`repo_type` must be 'dataset' or 'model', got {repo_type!r}.")
    from huggingface_hub import hf_hub_download

    known = inspect.signature(hf_hub_download).parameters
    if unknown := [option for option in options if option not in known]:
        raise ValueError(
            f"Unknown argument `{unknown[0]}`: beside its own, `MemoryBank.from_pretrained` takes only those of "
            "`huggingface_hub.hf_hub_download`."
        )
    folder = Path(name)
    if folder.is_dir():
        return None
    text = str(name)
    if (set_aside := replaced_bank(folder)) is not None and not folder.exists():
        raise ValueError(
            f"A build was replacing the bank {text!r} and was interrupted: build again to finish it, or open the "
            f"older bank at {str(set_aside)!r}."
        )
    if is_local(text):
        raise ValueError(f"No memory bank at {text!r}: it is neither a folder nor the id of a Hub repository.")
    return HubFiles(text, revision, repo_type, memories, hash_up_to, **options)


class HubFiles:
    """Files of a bank in a Hub repository, in the cache of huggingface_hub.

    The revision is resolved once: every file is of the same commit as `bank_config.json`. A downloaded file is
    compared with its checksum, and deleted if it differs. Several threads may use one object at once.

    Args:
        repo_id (`str`): Id of the repository.
        revision (`str`, *optional*): Branch, tag or commit.
        repo_type (`str`): `"dataset"` or `"model"`.
        memories (`str`): `"eager"` fetches all files now, `"lazy"` all but the shards.
        hash_up_to (`float`): If the bank has more bytes than this, only files that were not in the cache are hashed.
        options: Passed to `huggingface_hub.hf_hub_download` (`token`, `cache_dir`, `local_files_only`, ...).

    Raises:
        ValueError: If the repository is no bank, lacks a file, or a file differs from its checksum.
        OSError: If the repository cannot be read.
    """

    def __init__(
        self, repo_id: str, revision: str | None, repo_type: str, memories: str, hash_up_to: float, **options
    ):
        if "local_dir" in options:
            raise ValueError("`local_dir` cannot be given: open the bank, then `save_pretrained` it to that folder.")
        config_path = download(repo_id, repo_type, revision, CONFIG_NAME, is_first=True, **options)
        self.repo_id, self.repo_type, self.memories, self.options = repo_id, repo_type, memories, options
        self._repository = repository_label(repo_id, repo_type)
        if config_path is None:
            raise ValueError(f"There is no memory bank in {self._repository}: it has no {CONFIG_NAME}.")
        self.folder = config_path.parent
        self.commit = self.folder.name  # the cache names its folders by commit
        self.config = BankConfig.load(self.folder)
        self._download = partial(download, repo_id, repo_type, self.commit, **options)
        self._is_forced = bool(options.get("force_download"))
        self._ready = set()
        self._locks = {}
        names = self.config.data_files()
        self._is_small = sum(self.config.files[name]["size"] for name in names) <= hash_up_to
        self.fetch([CARD_NAME, *(name for name in names if memories == "eager" or not _SHARD.match(name))])

    def fetch(self, names: Iterable[str]) -> None:
        """Make sure that these files are in `folder`, complete and checked.

        Raises:
            ValueError: If the repository lacks a file, or it differs from its checksum.
            OSError: If a file is not in the cache and cannot be downloaded.
        """
        missing = [name for name in names if name not in self._ready]
        if len(missing) == 1:
            self._fetch(missing[0])
        elif missing:
            with ThreadPoolExecutor(_WORKERS) as pool:
                list(pool.map(self._fetch, missing))

    def _fetch(self, name: str) -> None:
        with self._locks.setdefault(name, threading.Lock()):  # a thread that waits here gets a checked file
            if name in self._ready:
                return
            is_card = name == CARD_NAME  # the card may be edited, and may be missing
            is_new = self._is_forced or not (self.folder / name).is_file()
            is_there = not is_new or self._download(name, is_optional=is_card) is not None
            if not is_card:
                self._check(name, is_there, hashed=is_new or self._is_small)
            self._ready.add(name)

    def _check(self, name: str, is_there: bool, hashed: bool) -> None:
        if not is_there:
            raise ValueError(
                f"{name} is missing from {self._repository} at {self.commit}, though {CONFIG_NAME} names it: ask its "
                "owner to push the bank again, or open another `revision`."
            )
        path, expected = self.folder / name, self.config.files[name]
        if path.stat().st_size != expected["size"] or hashed and file_entry(path) != expected:
            for place in (path.resolve(), path):  # the cached file, and the pointer to it
                place.unlink(missing_ok=True)
            raise ValueError(
                f"{name} of {self._repository} at {self.commit} is damaged: it is not the file whose size and sha256 "
                f"are in {CONFIG_NAME}. Open the bank again to download a new copy; if that is damaged too, ask the "
                "owner to push the bank again."
            )
