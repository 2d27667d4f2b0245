"""BM25: how well a text fits the words of a query."""

from collections import Counter

import numpy as np

from comem_hf.bank.index.index import Selection

from .postings import Postings
from .tokens import words_of


K1, B = 1.5, 0.75  # how soon more of a word adds nothing, and how much a long text is marked down


def bm25_scores(postings: Postings, query: str) -> np.ndarray:
    r"""Scores of all rows, float32 of shape (rows,); 0 where no word of the query is.

    The sum over the words of the query of

        ln(1 + (N - n + 0.5) / (n + 0.5)) * c / (c + k1 * (1 - b + b * length / mean length))

    where n of N texts have the word, and this one has it c times: the form of Lucene (Kamphuis et al., "Which BM25 Do
    You Mean?", ECIR 2020), as `bm25s` has it. Rows without a text are not counted.

    Args:
        postings (`Postings`): The words of all rows.
        query (`str`): What to look for. A word that it repeats counts as often.
    """
    scores = np.zeros(len(postings.lengths), dtype=np.float32)
    for word, times in sorted(Counter(words_of(query)).items()):  # the same sum for the same words in another order
        found = postings.of_word(word)
        rows = postings.rows[found]
        if not len(rows):
            continue
        rarity = np.log1p((postings.num_texts - len(rows) + 0.5) / (len(rows) + 0.5))
        counts = postings.counts[found].astype(np.float32)
        long = (K1 * B / postings.mean_length) * postings.lengths[rows].astype(np.float32)
        scores[rows] += np.float32(times * rarity) * counts / (counts + (long + np.float32(K1 * (1 - B))))
    return scores


def best_rows(postings: Postings, query: str, k: int, among: Selection | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores and rows of the best texts, best first; of texts that score the same, the lower row comes first.

    Args:
        postings (`Postings`): The words of all rows.
        query (`str`): What to look for.
        k (`int`): Most rows; fewer if fewer have a word of the query.
        among (`Selection`, *optional*): Rows that may be found; all if not given.
    """
    scores = bm25_scores(postings, query)
    rows = np.flatnonzero(scores > 0)  # of booleans, which is faster
    if among is not None:
        rows = rows[(among.bits[rows >> 3] >> (rows & 7)) & 1 == 1]
    scores = scores[rows]
    if len(rows) > k:
        least = np.partition(scores, -k)[-k]
        better, tied = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        chosen = np.sort(np.concatenate([better, tied[: k - len(better)]]))
        scores, rows = scores[chosen], rows[chosen]
    order = np.argsort(-scores, kind="stable")
    return scores[order], rows[order]
