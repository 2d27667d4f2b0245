"""The picture of the comparison: loss curves, and exact match against added positions."""

from pathlib import Path

import matplotlib


matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402


def plot(result: dict, path: Path) -> None:
    """Plot a result (the content of `sites.json`) as a PNG.

    Args:
        result (`dict`): The result.
        path (`Path`): The PNG to write.
    """
    figure, (losses, answers) = plt.subplots(1, 2, figsize=(13, 5))
    colours = plt.get_cmap("tab10").colors
    for number, way in enumerate(result["ways"]):
        colour = colours[number % len(colours)]
        answers.scatter(way["added_positions"], way["exact_match"], color=colour, s=60, zorder=3, label=way["name"])
        if way["log"]:
            points = [(row["step"], row["loss"]) for row in way["log"]]
            losses.plot(*zip(*points, strict=True), color=colour, linewidth=1.2)
    losses.set(title="training", xlabel="step", ylabel="loss", yscale="log")
    answers.set(
        title="held-out questions with the true item",
        xlabel="added positions",
        ylabel="exact match",
        ylim=(-0.03, 1.03),
    )
    for panel in (losses, answers):
        panel.grid(alpha=0.3)
    answers.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
