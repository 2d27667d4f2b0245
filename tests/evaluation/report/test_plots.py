import dataclasses
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.evaluation.report.contents import report_contents
from comem_hf.evaluation.report.plots import plot_by_items, plot_by_positions, require_matplotlib
from comem_hf.evaluation.report.result import BenchmarkResult
from tests.evaluation.report.conftest import OFFICIAL, answers, extract, question


PLOTS = (plot_by_items, plot_by_positions)


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).copy()


def colors(path) -> set[str]:
    return {f"#{color:06x}" for color in np.unique(pixels(path) @ np.array([65536, 256, 1])).tolist()}


@pytest.mark.parametrize("plot", PLOTS)
def test_each_way_has_its_colour_and_the_plot_is_twice_as_wide_as_a_page(plot, result, settings, tmp_path):
    several = [
        dataclasses.replace(result, benchmark=dataclasses.replace(result.benchmark, name=name)) for name in "abcd"
    ]
    plot(report_contents(several, settings, extract), tmp_path / "plot.png")
    height, width, _ = pixels(tmp_path / "plot.png").shape
    assert width == 1536 and 700 < height < 1000
    assert {"#555555", "#d55e00", "#0072b2"} <= colors(tmp_path / "plot.png")


NAMES = ("cvqa български", "数据集", r"a $x$ _b^ \frac", "🚀", "line\nbreak")


@pytest.mark.parametrize("plot", PLOTS)
def test_any_name_can_be_drawn_without_a_warning(plot, result, settings, tmp_path):
    results = [
        dataclasses.replace(
            result,
            benchmark=dataclasses.replace(result.benchmark, name=name),
            scorers=(dataclasses.replace(OFFICIAL, metric=f"{name} " * 4),),
        )
        for name in NAMES
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot(report_contents(results, settings, extract), tmp_path / "plot.png")
    assert pixels(tmp_path / "plot.png").std() > 0


WAYS = {
    "one way": [answers("no memory", 0, "rrrrrr")],
    "no RAG": [answers("memory", 3, "rwrwrw"), answers("memory", 10, "rwrwrw")],
    "nothing asked": [answers("RAG", 3, "rrrrrr", problems=range(6))],
    "wide": [
        answers("no memory", 0, "rrrrrr", 10),
        answers("RAG", 1, "wwwwww", 99_000),
        answers("memory", 3, "rrrrrr"),
    ],
}


@pytest.mark.parametrize("plot", PLOTS)
def test_any_ways_can_be_drawn(plot, settings, tmp_path):
    results = [
        BenchmarkResult(Benchmark(name, "en", tuple(map(question, range(6)))), (OFFICIAL,), tuple(ways))
        for name, ways in WAYS.items()
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot(report_contents(results, settings, extract), tmp_path / "plot.png")
    assert {"#555555", "#d55e00", "#0072b2"} <= colors(tmp_path / "plot.png")


@pytest.mark.parametrize("plot", PLOTS)
def test_scores_that_are_all_zero_have_an_axis_up_to_five(plot, result, settings, tmp_path, monkeypatch):
    limits = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **more: limits.append(figure.axes[0].get_ylim()))
    ways = (answers("no memory", 0, "wwwwww"), answers("memory", 3, "wwwwww"))
    result = dataclasses.replace(result, answers=ways, scorers=(OFFICIAL,))
    plot(report_contents([result], settings, extract), tmp_path / "plot.png")
    ((low, high),) = limits
    assert -0.5 < low < 0 and high == 5


def test_a_readers_own_style_changes_nothing(result, settings, tmp_path):
    contents = report_contents([result], settings, extract)
    plot_by_items(contents, tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 20, "axes.facecolor": "black"}):
        plot_by_items(contents, tmp_path / "two.png")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match=r"The plots of a report need matplotlib: `pip install .*eval"):
        require_matplotlib()
