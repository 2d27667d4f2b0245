"""BM25 over short texts, by an inverted index: the scores of `rank_bm25.BM25Okapi`, to the last bit.

`BM25Okapi` (rank-bm25 0.2.2) gave OVEN's published numbers. It holds a dictionary for each text and visits all of them
for each word of a query, which for six million titles takes many gigabytes and many seconds. Here the same numbers, by
the same operations in the same order, come from arrays of the texts that have a word.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


K1, B, EPSILON = 1.5, 0.75, 0.25
RARE = 20  # a query whose words have fewer than one in so many texts: only these are scored


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

    def holders(self, word: int) -> slice:
        """Where the texts stand that have a word."""
        return slice(self.starts[word], self.starts[word + 1])

    def scores(self, query: Sequence[int], rows: np.ndarray | None = None) -> np.ndarray:
        """Return the score of every text, or of some.

        Args:
            query (`Sequence[int]`): Numbers of the query's words; one that stands there twice counts twice.
            rows (`np.ndarray`, *optional*): The texts to score, in ascending order, all that have one of the words.

        Returns:
            `np.ndarray`: Of shape (texts,), float64.
        """
        scores = np.zeros(self.count if rows is None else len(rows))
        left = Counter(filter(self.knows, query))
        gains: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        # A word that comes again is added again in its turn: in another order, sums differ in their last bits.
        for word in filter(self.knows, query):
            places, gain = gains.pop(word, None) or self._gains(word, rows)
            scores[places] += gain
            left[word] -= 1
            if left[word]:
                gains[word] = places, gain
        return scores

    def _gains(self, word: int, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The places among `rows`, or of all texts, of those that have a word, and what it adds to their scores."""
        having, frequency = self.rows[self.holders(word)], self.frequencies[self.holders(word)].astype(np.int64)
        gain = self.idf[word] * (frequency * (K1 + 1) / (frequency + self.penalties[self.lengths[having]]))
        return (having if rows is None else np.searchsorted(rows, having)), gain

    def best(self, query: Sequence[int], count: int = 1) -> list[Ranked]:
        """Return the texts with the highest scores.

        Args:
            query (`Sequence[int]`): Numbers of the query's words.
            count (`int`, *optional*, defaults to 1): How many texts to return at most.

        Returns:
            `list[Ranked]`: The texts, best first; of equal scores, the lowest row first. A text without any of the
            words scores 0, and so may be among them.
        """
        count = min(count, self.count)
        words = {*filter(self.knows, query)}
        if sum(int(self.starts[word + 1] - self.starts[word]) for word in words) * RARE < self.count:
            rows = np.unique(np.concatenate([self.rows[self.holders(word)] for word in words] or [self.rows[:0]]))
            scores = self.scores(query, rows)
            if np.count_nonzero(scores > 0) >= count:  # so that no text without a word is among the best
                return [Ranked(int(rows[hit.row]), hit.score, hit.tied) for hit in highest(scores, count)]
        return highest(self.scores(query), count)


def highest(scores: np.ndarray, count: int) -> list[Ranked]:
    """Return the highest scores and where they stand; of equal ones, the lowest place first."""
    if count == 1:
        places = [int(scores.argmax())]
    else:
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        better, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        better = better[np.argsort(-scores[better], kind="stable")]
        places = np.concatenate([better, equal[: count - len(better)]]).tolist()
    return [Ranked(place, float(scores[place]), bool((scores == scores[place]).sum() > 1)) for place in places]
