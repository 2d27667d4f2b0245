"""A calibration."""

from comem_hf.bank.scores.calibration import Calibration


HISTOGRAM = {"low": 0.0, "high": 1.0, "same": [0, 2], "other": [2, 0], "nothing": [1, 0]}
CALIBRATION = Calibration(
    weights=(-2.0, 3.0, 1 / 3),
    floor=0.01,
    num_items=20,
    pictures=10,
    nothing=4,
    brier=0.05,
    auc=0.99,
    histograms={"score": HISTOGRAM, "probability": HISTOGRAM},
)
