"""A report on disk: tables, plots, everything in one JSON, and what goes on a model card."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comem_hf.cards.benchmarks import BENCHMARKS_NAME
from comem_hf.evaluation.report.numbers.scores import Extract
from comem_hf.files.whole_file import write_durably

from .contents import report_contents
from .model_index import benchmarks_record, fits_a_card, model_index
from .paper import PublishedNumber
from .plots import plot_by_items, plot_by_positions, plotted, require_matplotlib
from .result import BenchmarkResult, ReportSettings
from .table import render_markdown


MODEL_INDEX_NAME = "model-index.yaml"
PLOTS = {"score_by_items.png": plot_by_items, "score_by_positions.png": plot_by_positions}


def write_report(
    results: Sequence[BenchmarkResult],
    settings: ReportSettings,
    folder: Path,
    *,
    extract: Extract,
    published: Sequence[PublishedNumber] = (),
) -> dict[str, Any]:
    """Score the answers, and write the report.

    Files: `report.md`, `report.json` (all settings, and all that the other files show), `run.json` (dates and times),
    and, if answers of a known model were scored, `score_by_items.png`, `score_by_positions.png`, `model-index.yaml`
    and `benchmarks.json` (for the folder of the model: `comem push` puts it on the card). The same answers and
    settings give the same bytes of all but `run.json`, however often the run was interrupted. Each file is written
    whole or not at all.

    Args:
        results (`Sequence[BenchmarkResult]`): The answers to each benchmark, in the order of the report.
        settings (`ReportSettings`): The settings that they were made with.
        folder (`Path`): Folder of the report; made if it does not exist. Files of an earlier report are replaced,
            and those that this report does not have are deleted.
        extract (`Callable[[str, BenchmarkQuestion], str]`): Finds the answer in a model's text, for scorers that do
            not; an empty text if there is none.
        published (`Sequence[PublishedNumber]`, *optional*): Published numbers, from [`load_published`].

    Returns:
        `dict`: What `report.json` holds.

    Raises:
        ValueError: If matplotlib is missing, or answers cannot be scored; nothing has been written.
        OSError: If a file cannot be written.
    """
    require_matplotlib()
    contents = report_contents(results, settings, extract, published)
    plots = PLOTS if plotted(contents) else {}
    texts = {
        "report.json": _json(contents),
        "report.md": render_markdown(contents, list(plots)),
        "run.json": _json(dict(settings.run)),
    }
    if fits_a_card(contents):
        texts |= {MODEL_INDEX_NAME: model_index(contents), BENCHMARKS_NAME: _json(benchmarks_record(contents))}
    # Without a report beside it, `benchmarks.json` is what somebody put there for the card of a model.
    earlier = [*PLOTS, MODEL_INDEX_NAME, BENCHMARKS_NAME] if (folder / "report.json").is_file() else []
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in plots.items():
        write_durably(folder / name, lambda path, plot=plot: plot(contents, path))
    for name, text in texts.items():
        write_durably(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8", newline="\n"))
    for name in earlier:
        if name not in plots and name not in texts:
            (folder / name).unlink(missing_ok=True)
    return contents


def _json(value: dict[str, Any]) -> str:
    try:
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"The settings of a report must be plain values that JSON can hold: {error}.") from error
