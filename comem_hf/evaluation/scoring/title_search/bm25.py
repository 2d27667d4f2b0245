"""BM25 over short texts, by an inverted index: the scores of `rank_bm25.BM25Okapi`, to the last bit.

`BM25Okapi` (rank-bm25 0.2.2) gave OVEN's published numbers. It holds a dictionary for each text and visits all of them
for each word of a query, which for six million titles takes many gigabytes and many seconds. Here the same numbers, by
the same operations in the same order, come from arrays of the texts that have a word.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


K1, B, EPSILON = 1.5, 0.75, 0.25


@dataclass(frozen=True)
class Ranked:
    """A text that a query found.

    Args:
        row (`int`): Which text, from 0.
        score (`float`): Its score.
        tied (`bool`): Whether another text scores the same.
    """

    row: int
    score: float
    tied: bool


class Bm25Index:
    """An inverted index of texts.

    Args:
        words (`np.ndarray`): Numbers of the words, from 0, text after text; of shape (words of all texts,).
        lengths (`np.ndarray`): How many words each text has; of shape (texts,).

    Raises:
        `ValueError`: If no text has a word, for which BM25 is not defined.
    """

    def __init__(self, words: np.ndarray, lengths: np.ndarray):
        if not len(words):
            raise ValueError("BM25 needs at least one text with a word in it, and there is none.")
        self.count, self.lengths = len(lengths), lengths
        # The texts of a word stand side by side, in their order.
        places = words.astype(np.int64) * self.count + np.repeat(np.arange(self.count), lengths)
        places, frequencies = np.unique(places, return_counts=True)
        self.rows = (places % self.count).astype(np.int32)
        self.frequencies = frequencies.astype(np.uint16 if frequencies.max() < 2**16 else np.int64)
        self.starts = np.searchsorted(places, np.arange(int(words.max()) + 2) * self.count)
        self.idf = self._idf(words)
        mean = len(words) / self.count
        self.penalties = K1 * (1 - B + B * np.arange(int(lengths.max()) + 1) / mean)  # by length

    def _idf(self, words: np.ndarray) -> np.ndarray:
        """The weight of each word; negative ones become a share of the mean weight, summed in BM25Okapi's order."""
        known, first = np.unique(words, return_index=True)
        idf = np.zeros(len(self.starts) - 1)
        total = 0.0
        for word in known[np.argsort(first)].tolist():
            holders = int(self.starts[word + 1] - self.starts[word])
            weight = math.log(self.count - holders + 0.5) - math.log(holders + 0.5)
            idf[word] = weight
            total += weight
        idf[idf < 0] = EPSILON * (total / len(known))
        return idf

    def knows(self, word: int) -> bool:
        """Whether a text has a word."""
        return word + 1 < len(self.starts) and bool(self.starts[word] < self.starts[word + 1])

    def scores(self, query: Sequence[int]) -> np.ndarray:
        """Return the score of every text.

        Args:
            query (`Sequence[int]`): Numbers of the query's words; one that stands there twice counts twice.

        Returns:
            `np.ndarray`: Of shape (texts,), float64.
        """
        scores = np.zeros(self.count)
        for word in filter(self.knows, query):
            holders = slice(self.starts[word], self.starts[word + 1])
            rows, frequency = self.rows[holders], self.frequencies[holders].astype(np.int64)
            scores[rows] += self.idf[word] * (frequency * (K1 + 1) / (frequency + self.penalties[self.lengths[rows]]))
        return scores

    def best(self, query: Sequence[int], count: int = 1) -> list[Ranked]:
        """Return the texts with the highest scores.

        Args:
            query (`Sequence[int]`): Numbers of the query's words.
            count (`int`, *optional*, defaults to 1): How many texts to return at most.

        Returns:
            `list[Ranked]`: The texts, best first; of equal scores, the lowest row first. A text without any of the
            words scores 0, and so may be among them.
        """
        scores = self.scores(query)
        count = min(count, self.count)
        if count == 1:
            rows = [int(scores.argmax())]
        else:
            least = np.partition(scores, self.count - count)[self.count - count]
            better, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
            better = better[np.argsort(-scores[better], kind="stable")]
            rows = np.concatenate([better, equal[: count - len(better)]]).tolist()
        return [Ranked(row, float(scores[row]), int(np.count_nonzero(scores == scores[row])) > 1) for row in rows]
