"""The plot of what stored memory costs a question."""

from pathlib import Path
from typing import Any


COLOURS = {"no memory": "#9aa5b1", "stored memory, 10 items": "#2a7f62", "RAG, 10 items": "#c8553d"}


def draw(run: dict[str, Any], path: Path) -> None:
    """Draw time, operations and positions of three ways, as multiples of those without memory.

    Args:
        run (`dict`): A run of `first_token`, as it is recorded.
        path (`Path`): Where the picture goes.
    """
    from matplotlib.figure import Figure

    rows = {row["way"]: row for row in run["rows"]}
    plain = rows["no memory"]
    measures = {
        "time to the\nfirst token": {way: rows[way]["x in time"]["median"] for way in COLOURS},
        "floating-point\noperations": {way: rows[way]["x in FLOP"] for way in COLOURS},
        "positions of\nthe prompt": {way: rows[way]["positions"] / plain["positions"] for way in COLOURS},
    }
    figure = Figure(figsize=(7.6, 3.3), dpi=150, layout="constrained")
    axes = figure.subplots()
    for number, (way, colour) in enumerate(COLOURS.items()):
        places = [group + (number - 1) * 0.27 for group in range(len(measures))]
        values = [of[way] for of in measures.values()]
        bars = axes.barh(places, values, height=0.25, color=colour, label=way)
        axes.bar_label(bars, [f"{value:.2f} ×" for value in values], padding=4, fontsize=9, color="#333333")
    axes.set_yticks(range(len(measures)), measures, fontsize=10)
    axes.invert_yaxis()
    axes.set_xlim(0, max(max(of.values()) for of in measures.values()) * 1.12)
    axes.set_xlabel("times the same question without memory", fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e3e6ea")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower right", fontsize=9, frameon=False)
    axes.set_title("A question about a picture, at the widths of Qwen2-VL-2B", fontsize=11, loc="left")
    figure.savefig(path)
