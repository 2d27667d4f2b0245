"""Distances of hits, compared."""

import numpy as np
import pytest

from comem_hf.bank.scores.closeness import closeness, distances, view_distances


def test_distances_are_those_of_the_vectors_that_the_scores_came_from():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 8))
    a, b = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b))
    expected = np.linalg.norm(a - b, axis=1)
    assert distances((a * b).sum(axis=1), "cosine") == pytest.approx(expected)
    assert distances(-expected, "l2") == pytest.approx(expected)
    assert view_distances(3 * a, 2 * b, "cosine") == pytest.approx(expected)
    assert view_distances(3 * a, b, "l2") == pytest.approx(np.linalg.norm(3 * a - b, axis=1))
    assert distances(np.array([1.0000001]), "cosine") == 0  # rounding


def test_a_hit_is_compared_with_the_nearest_other_item_and_the_second_view():
    near = np.array([[0.1, 0.4, 0.8]])
    rows = np.array([[7, 3, 5]])
    features = closeness(near, rows, near, rows, np.array([0.2]), floor=1e-12)
    assert features[0, :, 0] == pytest.approx(np.log([0.4 / 0.1, 0.1 / 0.4, 0.1 / 0.8]))
    assert features[0, :, 1] == pytest.approx(np.log([0.2 / 0.1, 0.2 / 0.4, 0.2 / 0.8]))


def test_only_ratios_count():
    near, rows = np.array([[0.1, 0.4]]), np.array([[0, 1]])
    once = closeness(near, rows, near, rows, np.array([0.2]), floor=0.01)
    assert closeness(9 * near, rows, 9 * near, rows, np.array([1.8]), floor=0.09) == pytest.approx(once)


def test_a_hit_that_a_filter_let_through_is_compared_with_what_the_filter_hides():
    features = closeness(
        np.array([[0.9]]), np.array([[8]]), np.array([[0.1, 0.4]]), np.array([[7, 3]]), np.array([0.2]), floor=1e-12
    )
    assert features[0, 0, 0] == pytest.approx(np.log(0.1 / 0.9))


def test_without_another_item_there_is_nothing_to_compare_with():
    near, rows = np.array([[0.1, 5.0]]), np.array([[7, -1]])
    assert np.isnan(closeness(near, rows, near, rows, np.array([0.2]), floor=0.01)[0, 0, 0])
