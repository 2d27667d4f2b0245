"""Reciprocal rank fusion."""

import numpy as np
import pytest

from comem_hf.bank.words.fusion import fused


def test_ranks_are_summed_by_their_weights():
    by_picture, by_words = np.array([7, 3, 5, -1]), np.array([5, 9])
    scores, rows, sources = fused(by_picture, by_words, 0.5, 10)
    assert rows.tolist() == [5, 7, 3, 9]  # 3 and 9 are both second of one list: the picture's comes first
    assert scores == pytest.approx([0.5 / 63 + 0.5 / 61, 0.5 / 61, 0.5 / 62, 0.5 / 62])
    assert sources.tolist() == ["picture and words", "picture", "picture", "words"]
    assert fused(by_picture, by_words, 0.9, 2)[1].tolist() == [5, 9]


@pytest.mark.parametrize("weight, rows", [(0, [7, 3, 5]), (1, [5, 9])])
def test_a_list_of_no_weight_adds_nothing(weight, rows):
    assert fused(np.array([7, 3, 5]), np.array([5, 9]), weight, 10)[1].tolist() == rows
    for part in fused(np.array([-1]), np.array([], dtype=int), weight, 10):
        assert len(part) == 0
