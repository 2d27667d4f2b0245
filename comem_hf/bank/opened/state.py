"""One generation of a bank, opened: its holder sees that state and no other."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
from transformers.utils import logging

from comem_hf.bank.format.changes.metadata import open_items, read_changed
from comem_hf.bank.format.changes.removed import read_removed
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.vectors import MemoryVectors
from comem_hf.bank.index.index import Index
from comem_hf.bank.index.kinds import open_index
from comem_hf.bank.words.bank_words import BankWords

from .integrity import check_files
from .item_rows import ItemRows
from .search import BankSearch


# Banks of up to so many bytes are hashed when they are opened (a fraction of a second); `verify` hashes any.
HASHED_AT_OPENING = 64 * 2**20

logger = logging.get_logger(__name__)

_ALLOWING = "`attach(model, processor, allow_changed_model=True)`"
_IN_PYTHON = f"In Python, {_ALLOWING} uses this model all the same."

Fetch = Callable[[list[str]], None]


class BankState:
    """The state of a bank at one time; it never changes but for its embedder, and a changed bank has another state.

    The indexes, the list of removed rows and the changed metadata are opened at once, so that their files may be
    replaced later. Shards stay as they are, and are opened when they are needed.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration.
        index (`Index`): Its index.
        fetch (`Callable[[list[str]], None]`, *optional*): For a bank in a Hub repository: called with names of files
            before they are first read.
    """

    def __init__(self, folder: Path, config: BankConfig, index: Index, fetch: Fetch | None = None):
        self.folder = folder
        self.fetch = fetch
        self.config = config
        self.index = index
        self.removed = read_removed(folder, config)
        live = None
        if len(self.removed):
            live = np.ones(config.num_rows, dtype=bool)
            live[self.removed] = False
        self.changed = read_changed(folder, config)
        self.items = open_items(folder, config, fetch, self.changed)
        self.vectors = MemoryVectors(folder, config, fetch)
        self.rows = ItemRows(folder, config, self.items, live)
        self.words = BankWords(folder, config, self.items, live)
        self.search = BankSearch(config, index, self.items, self.words, live)

    def with_own_embedder(self) -> "BankState":
        """Return the same state with the same embedder, so that either can be attached to another model."""
        state = copy.copy(self)
        state.search = copy.copy(self.search)
        return state

    def check_model(self, model, allow_changed_model: bool = False, is_attached: bool = False) -> None:
        """Refuse a model that is not the one that encoded the bank; say once if it is that model in fewer bits.

        Args:
            model (`CoMemForConditionalGeneration`): The model.
            allow_changed_model (`bool`, defaults to `False`): Warn once instead of refusing.
            is_attached (`bool`, defaults to `False`): Whether the model is attached: it was the right one then.

        Raises:
            ValueError: If it is another model; the message names both fingerprints.
        """
        fingerprint, expected = model.memory_fingerprint(), self.config.memory_fingerprint
        if allow_changed_model and fingerprint != expected:
            logger.warning_once(
                f"The bank {str(self.folder)!r} was made by the memory encoder {expected}, and this model's is "
                f"{fingerprint}: it reads vectors that were not made for it."
            )
            return
        if is_attached and fingerprint != expected:
            raise ValueError(
                f"The weights of the model were changed since it was attached to the bank {str(self.folder)!r}: its "
                f"memory encoder was {expected}, which made the bank, and is {fingerprint}. Load the model again, or "
                f"call {_ALLOWING} to use it all the same."
            )
        self.config.refuse_other_model(fingerprint, "this model", str(self.folder), _IN_PYTHON)
        if model.is_rounded():
            logger.warning_once(
                f"The model of the bank {str(self.folder)!r} is loaded in {model.precision()}: it reads the bank's "
                "vectors as they are, and a few answers may differ."
            )

    def check_adding(self, model) -> None:
        """Refuse to add items with a model that is not the one that encoded the bank.

        Args:
            model (`CoMemForConditionalGeneration`): The model.

        Raises:
            ValueError: If it is another model, even if it is allowed for reading the bank.
        """
        fingerprint, expected = model.memory_fingerprint(), self.config.memory_fingerprint
        if fingerprint != expected:
            raise ValueError(
                f"Items cannot be added to the bank {str(self.folder)!r} with a changed model: the bank was made by "
                f"the memory encoder {expected}, but this model's is {fingerprint}. Attach the bank's own model, or "
                "build a new bank."
            )

    @classmethod
    def open(cls, folder: Path, fetch: Fetch | None = None, check_index: bool = True) -> "BankState":
        """Open the present state of the bank in `folder`; if `fetch` is given, it has checked the files.

        If the index is in a database, `check_index` says whether that is looked for.

        Raises:
            ValueError: If this is no bank, a file is missing, damaged or of another size, or the format is newer than
                this version of comem_hf reads.
        """
        config = BankConfig.load(folder)
        while True:
            try:
                if fetch is None:
                    check_files(folder, config, hash_up_to=HASHED_AT_OPENING)
                return cls(folder, config, open_index(folder, config, check=check_index), fetch)
            except (ValueError, OSError):
                before, config = config, BankConfig.load(folder)
                if config == before:  # else a writer has replaced files meanwhile
                    raise
