"""`min_score`: the least probability of hits."""

import logging
from dataclasses import replace

import pytest

from comem_hf.bank.scores.min_score import check_min_score
from tests.bank.scores.conftest import CALIBRATION


@pytest.mark.parametrize("least", [None, 0, 0.5, 1.0])
def test_probabilities_are_accepted(least, caplog):
    check_min_score(least, CALIBRATION, 20, "bank")
    assert not caplog.records


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan"), True, "0.5", [0.5]])
def test_what_is_no_probability_is_refused(least):
    with pytest.raises(ValueError, match="`min_score` must be a probability from 0 to 1, got"):
        check_min_score(least, CALIBRATION, 20, "bank")


@pytest.mark.parametrize(
    "calibration, items, by_text, message",
    [
        (CALIBRATION, 20, True, "for searches by pictures alone"),
        (
            None,
            20,
            False,
            r"'bank' has none for its hits: `bank.calibrate\(\)` or `comem calibrate` fits",
        ),
        (None, 3, False, "needs at least 8 items, and it has 3"),
    ],
)
def test_where_there_are_no_probabilities_the_reason_and_the_way_out_are_said(calibration, items, by_text, message):
    with pytest.raises(ValueError, match=message):
        check_min_score(0.5, calibration, items, "bank", by_text)
    check_min_score(None, calibration, items, "bank", by_text)


@pytest.mark.parametrize("items, warns", [(40, False), (41, True), (10, False), (9, True)])
def test_a_fit_to_a_bank_of_another_size_is_used_with_a_warning(items, warns, caplog):
    with caplog.at_level(logging.WARNING):
        check_min_score(0.5, replace(CALIBRATION, num_items=20), items, f"bank of {items}")
    assert ("fits them anew" in caplog.text) == warns
