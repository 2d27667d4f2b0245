"""The words of an opened bank."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from transformers.utils import logging

from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.items import StoredItems
from comem_hf.bank.index.index import Selection

from .bm25 import best_rows
from .fusion import CANDIDATES, WORDS, fused
from .postings import Postings
from .tokens import WORD_RULES
from .words_file import read_words


MANY = 10_000  # items, of which the words take a noticeable time

logger = logging.get_logger(__name__)


def postings_of_items(items: StoredItems, live: np.ndarray | None = None) -> Postings:
    """Postings of the texts of a bank's items.

    Args:
        items (`StoredItems`): The items.
        live (`np.ndarray`, *optional*): Which rows have not been removed, bool of shape (rows,); all if not given.
    """
    texts: Iterator = (text for column in items.read_column("text") for text in column.to_pylist())
    if live is not None:
        texts = (text if lives else None for text, lives in zip(texts, live.tolist(), strict=True))
    return Postings.of_texts(texts)


class BankWords:
    """Finds items of a bank by the words of their texts.

    The words index is opened at once if the bank has one that this version reads. Otherwise it is made in memory,
    when it is first needed: of the texts of all items, some 20 seconds for a million.

    Args:
        folder (`Path`): The bank.
        config (`BankConfig`): Its configuration.
        items (`StoredItems`): Its items.
        live (`np.ndarray`, *optional*): Which rows have not been removed, bool of shape (rows,); all if not given.
    """

    def __init__(self, folder: Path, config: BankConfig, items: StoredItems, live: np.ndarray | None = None):
        self.items = items
        self.live = live
        self.is_stored = config.words is not None and config.words["rules"] == WORD_RULES
        self._stored = read_words(folder, config) if self.is_stored else None

    @cached_property
    def postings(self) -> Postings:
        """The words of all rows; removed rows have none."""
        if self._stored is not None:
            return self._stored
        if self.items.config.num_rows >= MANY:
            logger.warning_once(
                f"The bank {str(self.items.folder)!r} has no words index, so each process that searches for words "
                "makes one in memory, of all texts; `bank.index_words()` stores one, without encoding anything."
            )
        return postings_of_items(self.items, self.live)

    def search(
        self, queries: Sequence[str], k: int, among: Selection | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, rows and sources (`"words"`) of the best items per query, of shape (queries, hits).

        Rows are -1 behind the last item that has a word of the query.
        """
        found = [best_rows(self.postings, query, k, among) for query in queries]
        return _table([(scores, rows, np.full(len(rows), WORDS)) for scores, rows in found])

    def search_beside(
        self, by_picture: np.ndarray, queries: Sequence[str], k: int, words_weight: float, among: Selection | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fuse what pictures found with what texts find (see [`fused`]); as in [`BankWords.search`].

        Args:
            by_picture (`np.ndarray`): Rows per query, best first, of shape (queries, candidates).
            queries (`Sequence[str]`): The texts.
            k (`int`): Most hits per query.
            words_weight (`float`): Weight of the words, 0 to 1.
            among (`Selection`, *optional*): Rows that may be hits.
        """
        found = []
        for rows, query in zip(by_picture, queries, strict=True):
            by_words = best_rows(self.postings, query, candidates(k), among)[1]
            found.append(fused(rows, by_words, words_weight, k))
        return _table(found)


def candidates(k: int) -> int:
    """How many items a list has that is fused into one of `k`."""
    return max(k, CANDIDATES)


def _table(found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists of different lengths as arrays."""
    shape = len(found), max((len(rows) for _, rows, _ in found), default=0)
    scores, rows, sources = np.zeros(shape), np.full(shape, -1, dtype=np.int64), np.full(shape, "", dtype="U32")
    for number, parts in enumerate(found):
        for whole, part in zip((scores, rows, sources), parts, strict=True):
            whole[number, : len(part)] = part
    return scores, rows, sources
