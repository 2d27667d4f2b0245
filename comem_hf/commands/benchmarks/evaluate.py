"""From the chosen benchmarks to their report."""

from typing import TYPE_CHECKING

import typer

from .answers import answer_all
from .choice import Choice
from .other_code import of_other_code
from .questions import load_questions, load_scorers


if TYPE_CHECKING:
    from comem_hf.evaluation.benchmarks import BenchmarkQuestion


def evaluate_benchmarks(choice: Choice, json: bool) -> None:
    """Answer and score benchmarks, write the report, and print its table.

    Args:
        choice (`Choice`): What to do.
        json (`bool`): Whether to print the report as JSON.

    Raises:
        ValueError: If anything that was given does not fit; before questions are asked.
    """
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.evaluation.report.paper import load_published
    from comem_hf.evaluation.report.plots import require_matplotlib
    from comem_hf.evaluation.report.report import write_report
    from comem_hf.evaluation.report.table import summary_tables

    choice.check()
    require_matplotlib()  # as all that can fail, before the work
    published = () if choice.published is None else load_published(choice.published)
    benchmarks = load_questions(choice)
    scorers = [load_scorers(benchmark, choice, is_alone=len(benchmarks) == 1) for benchmark in benchmarks]
    results, settings = (answer_all if choice.predictions is None else of_other_code)(benchmarks, scorers, choice)
    if settings is None:  # another process writes the report
        return
    contents = write_report(results, settings, choice.output, extract=_extract, published=published)
    if json:
        print_json(contents)
        return
    for title, columns, rows in summary_tables(contents):
        print_table(title, columns, rows)
    problems = max((len(way["problems"]) for each in contents["benchmarks"] for way in each["ways"]), default=0)
    if problems:
        typer.echo(f"Some questions were not asked, up to {problems} of a benchmark; the report lists them.", err=True)
    typer.echo(f"Report: {choice.output / 'report.md'}", err=True)


def _extract(text: str, question: "BenchmarkQuestion") -> str:
    from comem_hf.evaluation.scoring import extract_answer

    return extract_answer(text)
