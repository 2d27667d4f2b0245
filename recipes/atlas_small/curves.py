"""Draw the loss curves of both stages."""

from pathlib import Path

import matplotlib


matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402


def plot_curves(logs: dict[str, list[dict]], path: Path) -> None:
    """Plot loss by step, one panel per stage, from the `Trainer`'s log history.

    Args:
        logs (`dict[str, list[dict]]`): Log history by the stage's name.
        path (`Path`): The PNG to write.
    """
    figure, panels = plt.subplots(1, len(logs), figsize=(6 * len(logs), 4), squeeze=False)
    for panel, (name, history) in zip(panels[0], logs.items(), strict=True):
        points = [(row["step"], float(row["loss"])) for row in history if "loss" in row]
        panel.plot(*zip(*points, strict=True), color="#0284c7", linewidth=1.2)
        panel.set(title=name, xlabel="step", ylabel="loss", yscale="log")
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
