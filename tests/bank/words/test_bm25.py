"""BM25, against the library `bm25s`."""

import bm25s
import numpy as np
import pytest

from comem_hf.bank.index.index import Selection
from comem_hf.bank.words.bm25 import K1, B, best_rows, bm25_scores
from comem_hf.bank.words.postings import Postings
from comem_hf.bank.words.tokens import words_of


def test_scores_are_those_of_bm25s(texts):
    texts = [text for text in texts if text]  # the library counts rows without a text
    library = bm25s.BM25(method="lucene", k1=K1, b=B)
    library.index([words_of(text) for text in texts], show_progress=False)
    postings = Postings.of_texts(texts)
    for query in ("w0", "w3 w17 w60", "w2 w2 w1 猫", "w40 unknown ŵe"):
        expected = library.get_scores(words_of(query))
        assert expected.any()
        np.testing.assert_allclose(bm25_scores(postings, query), expected, rtol=1e-5, atol=1e-6)


def test_the_best_rows_come_first_and_of_equal_ones_the_lower(texts):
    postings = Postings.of_texts([*texts, *texts])  # every text twice
    scores = bm25_scores(postings, "w1 w5 w9")
    order = [row for row in np.lexsort((np.arange(len(scores)), -scores)).tolist() if scores[row]]
    for k in (1, 4, 5, len(order), 2 * len(order)):
        found, rows = best_rows(postings, "w9 W5, w1", k)
        assert rows.tolist() == order[:k] and np.array_equal(found, scores[rows])
    half = np.arange(len(scores)) % 2 == 1
    expected = [row for row in order if half[row]][:7]
    assert best_rows(postings, "w1 w5 w9", 7, Selection.of(half))[1].tolist() == expected


@pytest.mark.parametrize("query", ["", "?!", "unknown"])
def test_a_query_without_a_known_word_finds_nothing(texts, query):
    for known in (texts, [], [None]):
        scores, rows = best_rows(Postings.of_texts(known), query, 3)
        assert len(scores) == len(rows) == 0
