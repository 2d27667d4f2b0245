"""The plot of what stored memory costs a question."""

from pathlib import Path
from typing import Any


COLOURS = {"no memory": "#9aa5b1", "stored memory, 10 items": "#2a7f62", "RAG, 10 items": "#c8553d"}


def draw(run: dict[str, Any], path: Path) -> None:
    """Draw time, operations and positions of three ways, as multiples of those without memory, from zero on.

    Args:
        run (`dict`): A run of `first_token`, as it is recorded.
        path (`Path`): Where the picture goes.
    """
    from matplotlib.figure import Figure

    rows = {row["way"]: row for row in run["rows"]}
    plain = rows["no memory"]["positions"]
    measures = ("time to the\nfirst token", "floating-point\noperations", "positions of\nthe prompt")
    figure = Figure(figsize=(7.6, 3.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for number, (way, colour) in enumerate(COLOURS.items()):
        row = rows[way]
        values = [row["x in time"]["median"], row["x in FLOP"], row["positions"] / plain]
        more = ["", f" ({row['GFLOP'] / 1000:.1f} TFLOP)", f" ({row['positions']:,})"]
        places = [group + (number - 1) * 0.27 for group in range(len(measures))]
        bars = axes.barh(places, values, height=0.25, color=colour, label=way)
        labels = [f"{value:.2f} ×{text}" for value, text in zip(values, more, strict=True)]
        axes.bar_label(bars, labels, padding=4, fontsize=9, color="#333333")
    axes.set_yticks(range(len(measures)), measures, fontsize=10)
    axes.invert_yaxis()
    axes.set_xlim(0, axes.get_xlim()[1] * 1.2)
    axes.set_xlabel("times the same question without memory", fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e6ea")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.suptitle("A question about a picture, at the widths of Qwen2-VL-2B", fontsize=11)
    figure.legend(loc="outside lower center", ncols=len(COLOURS), fontsize=9, frameon=False)
    figure.savefig(path)
