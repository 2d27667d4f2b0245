"""The picture of a calibration."""

import PIL.Image
import pytest

from comem_hf.bank.scores.plot_calibration import plot_calibration
from tests.bank.scores.conftest import CALIBRATION


def test_true_and_false_hits_are_drawn_into_a_file(tmp_path):
    pytest.importorskip("matplotlib")
    plot_calibration(CALIBRATION, "cosine", tmp_path / "scores.png")
    assert PIL.Image.open(tmp_path / "scores.png").size == (1200, 432)
    plot_calibration(CALIBRATION, "l2", tmp_path / "scores.svg")
    assert (tmp_path / "scores.svg").read_text().startswith("<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.png", "scores.svg"]


def test_a_bank_without_probabilities_and_an_unknown_ending_are_refused(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="not calibrated"):
        plot_calibration(None, "cosine", tmp_path / "scores.png")
    for name in ("scores", "scores.xyz"):
        with pytest.raises(ValueError, match=f"A plot has the ending .*png.*, got '{name}'"):
            plot_calibration(CALIBRATION, "cosine", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"\[eval\]"):
        plot_calibration(CALIBRATION, "cosine", tmp_path / "scores.png")
