"""A picture of a calibration: scores and probabilities of true and of false hits."""

from pathlib import Path

import numpy as np

from comem_hf.files.whole_file import write_durably
from comem_hf.modeling.installation_comem import how_to_install

from .calibration import Calibration


_SERIES = (
    ("same", "the item itself", "#1b7f5c"),
    ("other", "another item, as the bank lacks it", "#c8553d"),
    ("nothing", "pictures of nothing", "#7a7a7a"),
)
_SCORES = {"cosine": "score (cosine similarity)", "l2": "score (minus the distance)"}


def plot_calibration(calibration: Calibration | None, metric: str, path: Path) -> None:
    """Draw the histograms of a calibration; see [`MemoryBank.plot_calibration`].

    Args:
        calibration (`Calibration`, *optional*): The bank's calibration.
        metric (`str`): The bank's metric.
        path (`Path`): File of the picture, of the format that its ending names.

    Raises:
        ValueError: If the bank is not calibrated, matplotlib is not installed, or it knows no such ending.
    """
    if calibration is None:
        raise ValueError("The bank is not calibrated: `bank.calibrate()` or `comem calibrate` does it.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(f"A plot needs matplotlib: {how_to_install('eval')}.") from error
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    known = figure.canvas.get_supported_filetypes()
    if (kind := path.suffix[1:].lower()) not in known:
        raise ValueError(f"A plot has the ending .{', .'.join(sorted(known))}, got {path.name!r}.")
    panels = figure.subplots(1, 2)
    for panel, name in zip(panels, ("score", "probability"), strict=True):
        histogram = calibration.histograms[name]
        for series, label, colour in _SERIES:
            counts = np.asarray(histogram[series])
            shares = 100 * counts / max(1, counts.sum())
            edges = np.linspace(histogram["low"], histogram["high"], len(counts) + 1)
            panel.stairs(shares, edges, color=colour, fill=True, alpha=0.25)
            panel.stairs(shares, edges, color=colour, linewidth=1.5, label=f"{label} ({counts.sum()})")
        panel.grid(alpha=0.3)
    panels[0].set(xlabel=_SCORES[metric], ylabel="% of the queries")
    panels[1].set(xlabel="probability")
    panels[1].legend(title="the first hit is", loc="upper center", frameon=False)
    figure.suptitle(
        f"{calibration.pictures} disturbed pictures, with and without their item in the bank: "
        f"Brier score {calibration.brier:.3f}, AUC {calibration.auc:.3f} (cross-validated)",
        fontsize=10,
    )
    write_durably(path, lambda unfinished: figure.savefig(unfinished, dpi=120, format=kind))
