"""Changing a bank: new files under new names, then one rename that makes them part of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers.utils import logging

from comem_hf.bank.format.changes.removed import write_removed
from comem_hf.bank.format.config import CONFIG_NAME, BankConfig
from comem_hf.bank.format.file_names import (
    FILE_NAME,
    changed_name,
    embeddings_name,
    items_name,
    memory_name,
    removed_name,
    words_name,
)
from comem_hf.bank.format.items import write_items
from comem_hf.bank.format.precision import EXACT, coarsest
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.format.vectors import write_memory
from comem_hf.bank.format.writer_lock import lock_bank
from comem_hf.bank.index.build_index import EMBEDDINGS_KEY
from comem_hf.bank.index.kinds import make_index, open_index
from comem_hf.bank.index.lance_index import forget_tables
from comem_hf.bank.opened.integrity import check_files
from comem_hf.bank.opened.state import BankState
from comem_hf.bank.scores.calibration import Calibration
from comem_hf.bank.words.postings import Postings, PostingsBuilder
from comem_hf.bank.words.tokens import WORD_RULES
from comem_hf.bank.words.words_file import write_words
from comem_hf.cards.bank_card import card_entry, is_edited, write_card
from comem_hf.cards.template import CARD_NAME
from comem_hf.files.whole_file import write_durably
from comem_hf.modeling.picture_pixels_comem import PICTURE_RULES


logger = logging.get_logger(__name__)

_VECTORS = ("index", "embeddings")  # how the names of files begin that hold the vectors of the index


class BankWriter:
    """A change to a bank; readers see all of it or nothing.

    Existing shards stay as they are. A writer that dies, or that an exception ends, leaves the bank unchanged. The
    next writer removes files that belong to no state of the bank, and files that only the previous state needs:
    readers of that state already have them open. One writer at a time may hold a bank, as a context manager.

    Args:
        folder (`Path`): The bank.
        wait (`float`, defaults to 0): Seconds to wait for another process that is changing the bank.
        check_index (`bool`, defaults to `True`): Refuse a bank whose index is in a database that does not answer.

    Raises:
        ValueError: If another process is changing the bank, or it is damaged.
        OSError: If the folder cannot be written to.
    """

    def __init__(self, folder: Path, wait: float = 0, check_index: bool = True):
        self.folder = folder
        self.wait = wait
        self._checks_index = check_index

    def __enter__(self) -> "BankWriter":
        self._lock = lock_bank(self.folder, self.wait)
        try:
            self._config = (self.folder / CONFIG_NAME).read_bytes()
            self.before = BankState.open(self.folder, check_index=self._checks_index)
            self._clean(self.before.config)
        except BaseException:
            self._lock.release()
            raise
        self._generation = self.before.config.generation + 1
        self._shard_sizes = list(self.before.config.shard_sizes)
        self._removed = self.before.removed
        self._metadata: dict[int, str] = {}
        self._cut_texts = self.before.config.cut_texts
        self._picture_rules = self.before.config.picture_rules
        self._precision = self.before.config.precision
        self._calibration = self.before.config.calibration
        self._index = None
        self._new_index = None
        self._texts = PostingsBuilder()  # of new items
        self._adds_words = False
        self._files = {}
        return self

    def __exit__(self, kind, *exception) -> None:
        try:
            if kind is not None and self._is_in_place():
                for name in self._files.keys() - BankConfig.load(self.folder).files.keys():
                    (self.folder / name).unlink(missing_ok=True)
        finally:
            self._lock.release()

    def append(
        self, records: Sequence[ItemRecord], memory: torch.Tensor, embeddings: np.ndarray, precision: str = EXACT
    ) -> None:
        """Write a new shard.

        Args:
            records (`Sequence[ItemRecord]`): Items with ids that the bank does not hold.
            memory (`torch.Tensor`): Their memory vectors, shape (items, memory tokens, hidden).
            embeddings (`np.ndarray`): Their embeddings, shape (items, embedding size).
            precision (`str`, defaults to `"float32"`): Of the model that made them (see [`precision_of`]).

        Raises:
            OSError: If no space is left.
        """
        config = self.before.config
        shard, start = len(self._shard_sizes), sum(self._shard_sizes)
        self._write(memory_name(shard), lambda path: write_memory(path, memory, config.memory_dtype))
        self._write(items_name(shard), lambda path: write_items(path, list(records)))
        if self._index is None:
            # Otherwise damaged data would be written again and get a valid checksum.
            check_files(self.folder, config, names=config.index_files)
            self._index = open_index(self.folder, config, writable=True)
        if config.stores_embeddings:
            self._write(embeddings_name(shard), lambda path: save_file({EMBEDDINGS_KEY: embeddings}, path))
        self._index.add(embeddings, np.arange(start, start + len(records)))
        self._shard_sizes.append(len(records))
        for record in records:
            self._texts.add(record.text)
        self._cut_texts += sum(record.is_cut for record in records)
        self._picture_rules = min(self._picture_rules, PICTURE_RULES)  # a newer version may have made the bank
        self._precision = coarsest([self._precision, precision])

    def remove(self, rows: Sequence[int]) -> None:
        """Remove rows from the bank; their data stays in its files, but is in no copy (see [`without_removed`])."""
        removed = np.union1d(self._removed, np.asarray(rows, dtype=np.int64))
        if self._cut_texts:
            rows = np.setdiff1d(removed, self._removed).tolist()
            gone = self.before.items.read_records(rows, with_images=False)
            self._cut_texts = max(0, self._cut_texts - sum(record.is_cut for record in gone))
        self._removed = removed

    def change_metadata(self, changes: Mapping[int, str]) -> None:
        """Change the metadata of rows, each to the text of a JSON object; shards and index stay as they are."""
        self._metadata |= changes

    def index_words(self) -> None:
        """Give the bank a words index if it has none that this version reads."""
        self._adds_words = not self.before.words.is_stored

    def calibrate(self, calibration: Calibration) -> None:
        """Replace the calibration of scores, which changes no file but the configuration and the card."""
        self._calibration = calibration.to_block()

    def change_index(self, index_factory: str | None) -> None:
        """Make the index anew, of the embeddings of all rows; nothing may be added in the same change.

        Raises:
            ValueError: If there is no such index, or a file is damaged.
            OSError: If no space is left, or a database cannot be reached.
        """
        config, names = self.before.config, []
        check_files(self.folder, config, names=[name for name in config.data_files() if name.startswith(_VECTORS)])
        for shard, size in enumerate(config.shard_sizes):
            names.append(embeddings_name(shard))
            if not config.stores_embeddings:
                first = sum(config.shard_sizes[:shard])
                vectors = {EMBEDDINGS_KEY: self.before.index.vectors(first, size)}
                self._write(names[-1], lambda path, vectors=vectors: save_file(vectors, path))
        paths = [self.folder / name for name in names]
        self._new_index = make_index(self.folder, paths, config.metric, index_factory, self._generation)
        for name in {*names} & self._files.keys() - self._new_index.files.keys():  # FAISS files hold the vectors
            (self.folder / name).unlink()
            del self._files[name]
        self._files |= self._new_index.files

    def commit(self) -> BankConfig:
        """Make the change part of the bank, if there is one; nothing can be changed after that.

        Returns:
            `BankConfig`: The present configuration of the bank.

        Raises:
            ValueError: If no item would be left, or another bank has replaced this one meanwhile.
            OSError: If no space is left.
        """
        before = self.before.config
        removes = len(self._removed) > len(self.before.removed)
        changes_rows = self._index is not None or removes
        changes_words = self._adds_words or changes_rows and before.words is not None
        changes_items = changes_rows or changes_words or bool(self._metadata) or self._new_index is not None
        if not changes_items and self._calibration == before.calibration:
            return before
        num_items = sum(self._shard_sizes) - len(self._removed)
        if num_items < 1:
            raise ValueError(f"No item would be left in the bank {str(self.folder)!r}; delete the folder instead.")
        index, words, removed, changed = before.index, before.words, before.removed, before.changed_metadata
        if self._index is not None:
            index = self._index.write(index, self._generation, self._write)
        if self._new_index is not None:
            index = self._new_index.block
        if removes:
            removed = removed_name(self._generation)
            self._write(removed, lambda path: write_removed(path, self._removed))
        if self._metadata:
            changed = changed_name(self._generation)
            self._write(changed, self.before.changed.updated(self._metadata).write)
        if changes_words:
            words = {"file": words_name(self._generation), "rules": WORD_RULES}
            postings = self._changed_words()
            self._write(words["file"], lambda path: write_words(path, postings))
        after = replace(
            before,
            num_items=num_items,
            shard_sizes=self._shard_sizes,
            index=index,
            words=words,
            removed=removed,
            changed_metadata=changed,
            generation=self._generation if changes_items else before.generation,
            cut_texts=self._cut_texts,
            picture_rules=self._picture_rules,
            precision=self._precision,
            calibration=self._calibration,
        )
        needed = {*after.data_files(), CARD_NAME}
        after.files = {name: entry for name, entry in (before.files | self._files).items() if name in needed}
        renews_card = not is_edited(self.folder / CARD_NAME, before)
        if renews_card:
            after.files[CARD_NAME] = card_entry(after)
        self._check_in_place()
        after.save(self.folder)
        if renews_card:  # only now, as no card may describe a state that does not exist
            try:
                write_card(self.folder, after)
            except OSError as error:
                logger.warning(f"The bank is changed, but not its card; the next change updates the card: {error}")
        return after

    def _changed_words(self) -> Postings:
        if self.before.words.is_stored:  # otherwise damaged data would be written again and get a valid checksum
            check_files(self.folder, self.before.config, names=[self.before.config.words["file"]])
        postings = self.before.words.postings
        if self._index is not None:
            postings = postings.joined(self._texts.build())
        return postings.without(self._removed)

    def _write(self, name: str, write) -> None:
        self._check_in_place()
        self._files[name] = write_durably(self.folder / name, write)

    def _check_in_place(self) -> None:
        if not self._is_in_place():
            raise ValueError(f"The bank {str(self.folder)!r} has been replaced by another bank; open the new one.")

    def _is_in_place(self) -> bool:
        """Whether the bank is still the one that was opened; the lock does not keep others from moving its folder."""
        try:
            return (self.folder / CONFIG_NAME).read_bytes() == self._config
        except OSError:
            return False

    def _clean(self, config: BankConfig) -> None:
        """Remove files that dead writers and earlier states left."""
        keep = {*config.files, CARD_NAME, CONFIG_NAME}
        forget_tables(self.folder, config.index)
        for path in self.folder.iterdir():
            name = path.name.removesuffix(".unfinished")
            if path.name not in keep and (FILE_NAME.fullmatch(name) or name == CONFIG_NAME):
                try:
                    path.unlink()
                except PermissionError:  # Windows keeps files that somebody has open; the next writer will try again
                    continue
