import numpy as np
import pytest

from comem_hf.evaluation.scoring.title_search.bm25 import Bm25Index


def index_of(texts: list[list[int]]) -> Bm25Index:
    words = np.array([word for text in texts for word in text], dtype=np.int32)
    return Bm25Index(words, np.array([len(text) for text in texts], dtype=np.int32))


@pytest.mark.parametrize("words", [2, 6, 40, 3000])  # the last: so rare that only the texts that have them are scored
@pytest.mark.parametrize("count", [1, 2, 7, 60, 400])
def test_scores_are_those_of_rank_bm25_to_the_last_bit(words, count):
    rank_bm25 = pytest.importorskip("rank_bm25", reason="the extra `eval` is not installed")
    random = np.random.default_rng(count * words)
    for _ in range(10):
        texts = [random.integers(0, words, random.integers(0, 6)).tolist() for _ in range(count)] + [[0]]
        theirs, ours = rank_bm25.BM25Okapi(texts), index_of(texts)
        for query in (random.integers(0, words + 2, random.integers(0, 5)).tolist() for _ in range(5)):
            query += query[:2] * int(random.integers(0, 4))  # words that come again, other ones in between
            scores = theirs.get_scores(query)
            assert (ours.scores(query) == scores).all()
            ranked = ours.best(query, 3)
            assert [hit.row for hit in ranked] == sorted(range(len(texts)), key=lambda row: (-scores[row], row))[:3]
            assert [hit.tied for hit in ranked] == [(scores == scores[hit.row]).sum() > 1 for hit in ranked]


def test_the_share_of_a_word_is_computed_once_however_often_it_comes(monkeypatch):
    computed = []
    gains = Bm25Index._gains
    monkeypatch.setattr(Bm25Index, "_gains", lambda self, word, rows: computed.append(word) or gains(self, word, rows))
    index_of([[0, 1], [1], [2], [3]]).scores([0, 1, 0, 7, 0, 1])
    assert computed == [0, 1]


def test_a_text_without_the_word_may_beat_one_that_has_a_word_of_negative_weight():
    index = index_of([[0], [0], [0, 1], [0]])
    assert index.idf[0] < 0
    assert index.best([0, 0])[0].score == index.scores([0, 0]).max()


def test_titles_without_a_word_are_refused():
    with pytest.raises(ValueError, match="at least one text with a word"):
        index_of([[], []])
