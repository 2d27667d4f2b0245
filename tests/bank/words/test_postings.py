"""Postings: the same texts give the same arrays, however they came together."""

import numpy as np
import pytest

from comem_hf.bank.words.postings import MOST, Postings


def test_joined_postings_are_those_of_all_texts(texts):
    whole = Postings.of_texts(texts)
    for at in (0, 1, 150, len(texts)):
        assert Postings.of_texts(texts[:at]).joined(Postings.of_texts(texts[at:])) == whole
    first, second, third = (Postings.of_texts(texts[start : start + 100]) for start in (0, 100, 200))
    assert first.joined(second).joined(third) == first.joined(second.joined(third)) == whole
    assert whole != first


def test_rows_without_their_words_are_rows_without_a_text(texts):
    gone = np.random.default_rng(1).choice(len(texts), 120, replace=False)
    rest = [None if row in gone else text for row, text in enumerate(texts)]
    assert Postings.of_texts(texts).without(gone) == Postings.of_texts(rest)
    live = np.array([row not in gone for row in range(len(texts))])
    kept = [text for text, lives in zip(texts, live, strict=True) if lives]
    assert Postings.of_texts(texts).kept(live) == Postings.of_texts(kept)
    assert len(Postings.of_texts(texts).without(np.arange(len(texts)))) == 0


def test_words_are_looked_up_with_their_rows_and_counts():
    postings = Postings.of_texts(["b a b", None, "c B", "b " * 300])
    assert [bytes(postings._word(number)) for number in range(len(postings))] == [b"a", b"b", b"c"]
    found = postings.of_word("b")
    assert postings.rows[found].tolist() == [0, 2, 3] and postings.counts[found].tolist() == [2, 1, MOST]
    assert postings.lengths.tolist() == [3, 0, 2, 300]
    assert (postings.num_texts, postings.mean_length) == (3, pytest.approx(305 / 3))
    for word in ("", "aa", "z", "\ud800"):
        assert not len(postings.rows[postings.of_word(word)])
    assert len(Postings.of_texts([])) == 0 and Postings.of_texts([None]).of_word("a") == slice(0, 0)
