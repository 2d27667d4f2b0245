"""Postings: which items have a word in their text, how often, and how long each text is."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from .tokens import words_of


MOST = 255  # times that a word counts in one text: BM25 hardly tells more of them apart


@dataclass(frozen=True, eq=False)
class Postings:
    """Words of all texts, sorted, and the rows that have each: a few flat arrays, which may be memory-mapped.

    Rows without a text have no words, and neither have removed ones. The same texts give the same arrays, however
    they came together.

    Args:
        letters (`np.ndarray`): The words in UTF-8, one after the other, uint8; words ascend by their bytes.
        ends (`np.ndarray`): Where each word ends in `letters`, int64 of shape (words,).
        starts (`np.ndarray`): Where the postings of each word start, and where the last ones end, int64 of shape
            (words + 1,).
        rows (`np.ndarray`): Rows that have the word, ascending, int32 of shape (postings,).
        counts (`np.ndarray`): How often they have it, at most 255, uint8 of shape (postings,).
        lengths (`np.ndarray`): How many words each text has, repeated ones too, int32 of shape (rows,).
    """

    letters: np.ndarray
    ends: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of_texts(cls, texts: Iterable[str | None]) -> "Postings":
        """Postings of texts, of which the first is that of row 0."""
        builder = PostingsBuilder()
        for text in texts:
            builder.add(text)
        return builder.build()

    def __len__(self) -> int:
        """Number of words."""
        return len(self.ends)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Postings) and all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self)
        )

    @cached_property
    def num_texts(self) -> int:
        """Rows whose text has a word."""
        return int(np.count_nonzero(self.lengths))

    @cached_property
    def mean_length(self) -> float:
        """Words of such a text."""
        return float(self.lengths.sum(dtype=np.int64) / max(1, self.num_texts))

    def place(self, word: bytes) -> tuple[int, bool]:
        """Return the number of a word, or of the first one behind its place, and whether it is there."""
        number = bisect_left(range(len(self)), word, key=self._word)
        return number, number < len(self) and self._word(number) == word

    def of_word(self, word: str) -> slice:
        """The postings of a word; none if no text has it."""
        number, is_there = self.place(word.encode("utf-8", "surrogatepass"))
        start = int(self.starts[number])
        return slice(start, int(self.starts[number + 1]) if is_there else start)

    def joined(self, other: "Postings") -> "Postings":
        """Put the rows of other postings behind these; only words of the others are looked up."""
        places = [self.place(other._word(number)) for number in range(len(other))]
        numbers = np.array([number for number, _ in places], dtype=np.int64)
        known = np.array([is_there for _, is_there in places], dtype=bool)
        added = np.diff(other.starts)
        sizes = np.diff(self.starts)
        sizes[numbers[known]] += added[known]
        sizes = np.insert(sizes, numbers[~known], added[~known])
        # Rows of the others are greater, so their postings come behind all there are of the word.
        targets = np.repeat(self.starts[numbers + known], added)
        widths, other_widths = np.diff(self.ends, prepend=0), np.diff(other.ends, prepend=0)
        letters = np.repeat(np.concatenate([[0], self.ends])[numbers], other_widths)  # where those of each word go
        are_new = np.repeat(~known, other_widths)
        return Postings(
            np.insert(self.letters, letters[are_new], other.letters[are_new]),
            np.cumsum(np.insert(widths, numbers[~known], other_widths[~known])),
            _starts(sizes),
            np.insert(self.rows, targets, other.rows + np.int32(len(self.lengths))),
            np.insert(self.counts, targets, other.counts),
            np.concatenate([self.lengths, other.lengths]),
        )

    def without(self, rows: np.ndarray) -> "Postings":
        """Take the words of some rows out; the others keep their numbers."""
        live = np.ones(len(self.lengths), dtype=bool)
        live[rows] = False
        stays = live[self.rows]
        passed = np.concatenate([[0], np.cumsum(stays)])
        sizes = passed[self.starts[1:]] - passed[self.starts[:-1]]
        used = sizes > 0
        widths = np.diff(self.ends, prepend=0)
        return Postings(
            self.letters[np.repeat(used, widths)],
            np.cumsum(widths[used]),
            _starts(sizes[used]),
            self.rows[stays],
            self.counts[stays],
            np.where(live, self.lengths, 0).astype(np.int32),
        )

    def kept(self, live: np.ndarray) -> "Postings":
        """Drop rows, and number the rest from 0, in the same order.

        Args:
            live (`np.ndarray`): Which rows stay, bool of shape (rows,).
        """
        left = self.without(np.flatnonzero(~live))
        numbers = (np.cumsum(live) - 1).astype(np.int32)
        return Postings(left.letters, left.ends, left.starts, numbers[left.rows], left.counts, left.lengths[live])

    def _word(self, number: int) -> bytes:
        start = int(self.ends[number - 1]) if number else 0
        return self.letters[start : int(self.ends[number])].tobytes()


class PostingsBuilder:
    """Takes texts one after the other, and makes postings of them."""

    def __init__(self):
        self._numbers: dict[str, int] = {}  # of words, in the order in which they came
        self._words, self._lengths = array("i"), array("i")

    def add(self, text: str | None) -> None:
        """Take the text of the next row."""
        words = words_of(text or "")
        numbers = self._numbers
        self._words.extend([numbers.setdefault(word, len(numbers)) for word in words])
        self._lengths.append(len(words))

    def build(self) -> Postings:
        """Return the postings of all texts."""
        names = sorted(self._numbers)  # by code points, as UTF-8 is by bytes
        encoded = [name.encode() for name in names]
        order = np.empty(len(names), dtype=np.int64)
        order[[self._numbers[name] for name in names]] = np.arange(len(names))
        lengths = np.array(self._lengths, dtype=np.int32)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        places = order[np.frombuffer(self._words, dtype=np.int32)] * max(1, len(lengths)) + rows
        places, counts = np.unique(places, return_counts=True)
        words, rows = np.divmod(places, max(1, len(lengths)))
        return Postings(
            np.frombuffer(b"".join(encoded), dtype=np.uint8),
            np.cumsum([len(word) for word in encoded], dtype=np.int64),
            np.searchsorted(words, np.arange(len(names) + 1)).astype(np.int64),
            rows.astype(np.int32),
            np.minimum(counts, MOST).astype(np.uint8),
            lengths,
        )


def _starts(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
