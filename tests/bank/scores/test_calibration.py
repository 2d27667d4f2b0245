"""The block of `bank_config.json`."""

import json

import numpy as np
import pytest

from comem_hf.bank.scores.calibration import Calibration
from tests.bank.scores.conftest import CALIBRATION, HISTOGRAM


def test_a_block_is_json_and_reads_back_with_six_digits():
    block = json.loads(json.dumps(CALIBRATION.to_block()))
    assert block["weights"] == [-2.0, 3.0, 0.333333]
    read = Calibration.of_block(block)
    assert read.to_block() == block and read.floor == 0.01


def test_a_block_of_a_later_method_is_left_alone():
    assert Calibration.of_block({"method": "of a later version"}) is None
    assert Calibration.of_block(None) is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"method": None}, "must have a 'method'"),
        ({"weights": [1.0, 2.0]}, "3 finite `weights`"),
        ({"weights": [1.0, 2.0, float("nan")]}, "3 finite `weights`"),
        ({"weights": "abc"}, "3 finite `weights`"),
        ({"floor": 0}, "positive `floor`"),
        ({"brier": None}, "finite"),
        ({"pictures": -1}, "count items and pictures"),
        ({"num_items": 2.5}, "count items and pictures"),
        ({"histograms": {"score": HISTOGRAM}}, "histogram of each probability"),
        ({"histograms": None}, "histogram of each score"),
    ],
)
def test_a_damaged_block_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Calibration.of_block({**CALIBRATION.to_block(), **change})


def test_a_block_without_an_entry_is_refused_with_the_names_of_all():
    block = CALIBRATION.to_block()
    del block["floor"]
    with pytest.raises(ValueError, match="weights, floor, num_items"):
        Calibration.of_block(block)


def test_the_nearer_a_hit_and_the_farther_the_next_the_higher_the_probability():
    scores = -np.array([[0.1, 0.5], [0.4, 0.5], [0.1, 0.9]])
    rows = np.array([[0, 1]] * 3)
    found = CALIBRATION.probabilities("l2", scores, rows, scores, rows, np.full(3, 0.2))
    assert found.shape == (3, 2) and ((found > 0) & (found < 1)).all()
    assert found[2, 0] > found[0, 0] > 0.5 > found[1, 0]
    assert (found[:, 0] > found[:, 1]).all()


def test_what_was_not_found_has_no_probability():
    scores, rows = -np.array([[0.1, 3e38]]), np.array([[0, -1]])
    found = CALIBRATION.probabilities("l2", scores, rows, scores, rows, np.array([0.2]))
    assert np.isnan(found).all()
