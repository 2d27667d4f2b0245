"""Two plots of a report: score against the number of items, and score against prompt positions.

One small plot per benchmark and language, the ways as series, 95 % intervals as error bars. Colours are those of Okabe
and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers tell apart; each way has its own marker, too.
"""

import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comem_hf.modeling.installation_comem import how_to_install

from .result import shown_score


_LOOKS = {
    "no memory": {"color": "#555555", "marker": "D", "linestyle": (0, (4, 3))},
    "RAG": {"color": "#D55E00", "marker": "s", "linestyle": "-"},
    "memory": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
}
_FURTHER_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
)
_COLUMNS = 3
_LEAST_SPAN = 5.0  # points of a score that an axis shows at least
_WIDTH, _HEIGHT, _DPI = 3.2, 2.6, 160  # inches of a small plot; three of them are twice as wide as a page shows them


def require_matplotlib() -> None:
    """Refuse to go on without matplotlib, before questions are asked.

    Raises:
        ValueError: If it is not installed; the message says how to install it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ValueError(f"The plots of a report need matplotlib: {how_to_install('eval')}.") from error


def plot_by_items(contents: dict[str, Any], path: Path) -> None:
    """Draw score against the number of items, as PNG.

    Args:
        contents (`dict`): What [`report_contents`] gave, or `report.json` holds; with at least one scored benchmark.
        path (`Path`): The picture's file.
    """
    _draw(contents, path, _by_items, "items per question")


def plot_by_positions(contents: dict[str, Any], path: Path) -> None:
    """Draw score against the mean number of prompt positions, as PNG.

    Args:
        contents (`dict`): What [`report_contents`] gave, or `report.json` holds; with at least one scored benchmark.
        path (`Path`): The picture's file.
    """
    _draw(contents, path, _by_positions, "prompt positions (mean)")


def plotted(contents: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the benchmarks that have scores to plot, of ways whose prompts are known."""
    return [benchmark for benchmark in contents["benchmarks"] if any(map(_has_point, benchmark["ways"]))]


def _draw(contents: dict[str, Any], path: Path, draw: Callable, label: str) -> None:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    benchmarks = plotted(contents)
    columns = min(_COLUMNS, len(benchmarks))
    rows = math.ceil(len(benchmarks) / columns)
    # A reader's own style would change sizes; the figure knows no screen and no other figure.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10, "font.family": _fonts()})
        figure = Figure(figsize=(max(_WIDTH * columns, 4.6), _HEIGHT * rows + 0.4), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        every = figure.subplots(rows, columns, squeeze=False).ravel()
        drawn = {}
        for axes, benchmark in zip(every, benchmarks, strict=False):
            axes.set_title(_drawable(f"{benchmark['name']} ({benchmark['language']})"))
            axes.set_ylabel(textwrap.fill(_drawable(shown_score(benchmark["ways"][0]["scores"])["metric"]), 30))
            axes.set_xlabel(label)
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#dddddd", linewidth=0.7)
            drawn |= draw(axes, _series(benchmark))
            axes.set_ylim(_limits(*axes.get_ylim()))
        for axes in every[len(benchmarks) :]:
            axes.set_visible(False)
        ways = [*(way for way in _LOOKS if way in drawn), *(way for way in drawn if way not in _LOOKS)]
        handles, titles = [drawn[way] for way in ways], [_drawable(way) for way in ways]
        figure.legend(handles, titles, loc="outside upper center", ncols=len(ways), frameon=False)
        figure.savefig(path, format="png", metadata={"Software": None})


def _limits(low: float, high: float) -> tuple[float, float]:
    """Ends of the score axis: not far outside of 0 to 100, nor so close that equal scores stand on noise."""
    spare = max(0.0, _LEAST_SPAN - (high - low)) / 2
    low, high = low - spare, min(high + spare, 103.0)
    high = max(high, _LEAST_SPAN)  # where all scores are 0, half of the span lies below it
    return max(low, -0.03 * high), high


def _by_items(axes, series: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Draw ways with items as points over the number of items, those without as a line across, with a band."""
    counts = sorted({point["items"] for points in series.values() for point in points} - {0})
    drawn = {}
    shift = -0.06 * (sum(points[-1]["items"] > 0 for points in series.values()) - 1)
    for way, points in series.items():
        look = _look(way)
        if not points[-1]["items"]:
            (point,), color = points, look["color"]
            drawn[way] = axes.axhline(point["score"], color=color, linestyle=look["linestyle"], linewidth=1.4)
            axes.axhspan(point["low"], point["high"], color=color, alpha=0.12, linewidth=0)
            continue
        places = [counts.index(point["items"]) + shift for point in points]
        drawn[way] = axes.errorbar(places, _scores(points), _bars(points), **look)
        shift += 0.12  # so that error bars at one place do not hide each other
    axes.set_xticks(range(len(counts)), [f"{count:,}" for count in counts])
    axes.set_xlim(-0.5, max(len(counts), 1) - 0.5)
    axes.margins(y=0.12)
    return drawn


def _by_positions(axes, series: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Draw each way as points over its prompt positions, joined from the fewest items to the most.

    Labels at the points would cover those of memory, which lie close together; the numbers of items stand below.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    drawn, counts, positions = {}, {}, []
    for way, points in series.items():
        positions += [point["positions"] for point in points]
        drawn[way] = axes.errorbar([p["positions"] for p in points], _scores(points), _bars(points), **_look(way))
        counts[way] = ", ".join(f"{point['items']:,}" for point in points if point["items"])
    counts = {way: each for way, each in counts.items() if each}
    if len(set(counts.values())) == 1:
        axes.set_xlabel(f"prompt positions (mean); k = {next(iter(counts.values()))}")
    elif counts:
        axes.set_xlabel("prompt positions (mean)\n" + "; ".join(f"{way}: k = {each}" for way, each in counts.items()))
    axes.margins(x=0.12, y=0.12)
    wide = bool(positions) and max(positions) > 5 * min(positions)
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6) if wide else MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return drawn


def _has_point(way: dict[str, Any]) -> bool:
    return bool(way["scores"]) and way["positions"] is not None


def _series(benchmark: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """For each way its points, by number of items."""
    series: dict[str, list] = {}
    for way in sorted(filter(_has_point, benchmark["ways"]), key=lambda way: way["top_k"]):
        score = shown_score(way["scores"])
        point = {"items": way["top_k"], "positions": way["positions"]}
        series.setdefault(way["way"], []).append(point | {key: score[key] for key in ("score", "low", "high")})
    return series


def _scores(points: list[dict[str, Any]]) -> list[float]:
    return [point["score"] for point in points]


def _bars(points: list[dict[str, Any]]) -> list[list[float]]:
    # A harmonic mean may lie outside of the percentiles of its resamples; a bar has no negative length.
    below = [max(0.0, point["score"] - point["low"]) for point in points]
    return [below, [max(0.0, point["high"] - point["score"]) for point in points]]


def _look(way: str) -> dict[str, Any]:
    look = {"linewidth": 1.4, "markersize": 5, "elinewidth": 1.2, "capsize": 2.5, "zorder": 3}
    return look | _LOOKS.get(way, {"color": "#009E73", "marker": "^", "linestyle": "-"})


def _fonts() -> list[str]:
    """The font that matplotlib brings, and fonts of this machine for what it lacks."""
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(font for font in _FURTHER_FONTS if font in known)]


def _drawable(text: str) -> str:
    """Return a text without formulas, and with a mark in the place of each character that no font here can draw."""
    from matplotlib.font_manager import findfont, get_font

    drawn = {code for name in _fonts() for code in get_font(findfont(name)).get_charmap()}
    return "".join(
        character if ord(character) in drawn else "\ufffd" for character in text if character != "\r"
    ).replace("$", r"\$")
