"""Logistic regression."""

import numpy as np
import pytest

from comem_hf.bank.scores.logistic import fit_logistic, logistic


def test_the_weights_that_made_the_labels_are_found():
    random = np.random.default_rng(0)
    features = random.normal(2, 3, (20000, 2))
    truth = np.array([-1.0, 0.8, 0.3])
    labels = random.random(len(features)) < logistic(features, truth)
    assert fit_logistic(features, labels) == pytest.approx(truth, abs=0.07)


def test_classes_that_can_be_told_apart_get_no_certainty():
    features = np.array([[-1.0], [-0.9], [0.9], [1.0]] * 5)
    weights = fit_logistic(features, features[:, 0] > 0)
    found = logistic(features, weights)
    assert (found[features[:, 0] > 0] > 0.85).all() and (found[features[:, 0] < 0] < 0.15).all()
    assert ((found > 0.001) & (found < 0.999)).all()


def test_a_feature_that_speaks_against_itself_and_a_constant_one_are_left_out():
    random = np.random.default_rng(1)
    labels = random.random(400) < 0.5
    good = labels + random.normal(0, 0.5, 400)
    bad = random.normal(0, 0.5, 400) - labels
    weights = fit_logistic(np.column_stack([good, bad, np.ones(400)]), labels)
    assert weights[1] > 1 and weights[2:].tolist() == [0, 0]


def test_without_any_feature_the_share_of_true_samples_is_the_probability():
    labels = np.arange(100) < 30
    assert logistic(np.zeros((1, 1)), fit_logistic(np.zeros((100, 1)), labels))[0] == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("labels", [np.zeros(5, dtype=bool), np.ones(5, dtype=bool)])
def test_one_class_alone_is_refused(labels):
    with pytest.raises(ValueError, match="samples of both classes"):
        fit_logistic(np.arange(5.0)[:, None], labels)


def test_far_features_give_no_overflow():
    assert logistic(np.array([[1e6], [-1e6]]), np.array([0.0, 1.0])) == pytest.approx([1, 0])
