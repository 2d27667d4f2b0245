"""The report as Markdown: a table for each benchmark and language, made from what `report.json` holds."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from comem_hf.cards.benchmarks import way_title
from comem_hf.cards.generated import counted, one_line

from .cells import SCORERS, difference_cell, mean_cell, overview_scores, positions_cell, score_cell
from .result import shown_score


MOST_PARTS = 12  # columns of a break-down that a page still shows; beyond, it is in the JSON alone
MOST_PROBLEMS = 10
MOST_DIFFERENT = 6  # published numbers that do not compare


def render_markdown(contents: dict[str, Any], plots: Sequence[str] = ()) -> str:
    """Return the report as Markdown.

    Args:
        contents (`dict`): What [`report_contents`] gave, or `report.json` holds.
        plots (`Sequence[str]`, *optional*): File names of plots beside the report.
    """
    settings, intervals = contents["settings"], contents["intervals"]
    blocks = [
        f"# Benchmarks of {one_line(settings['model'])}",
        f"Scores from 0 to 100. In brackets: {intervals['level']:.0%} confidence intervals, the percentiles of "
        f"{intervals['resamples']:,} bootstrap resamples of the questions within each group of a scorer; all ways are "
        "measured on the same resamples, so that the differences are paired. An interval without width means that all "
        "answers of a group scored the same, not that the score is certain. A question that could not be asked counts "
        "as answered wrong; a way in which none could be asked has no score. Prompt positions are the mean of the "
        "questions that were asked, with picture tokens and memory vectors. The overview has the first number of each "
        "scorer; what it measures, and further numbers, stand in the table of the benchmark.",
        "## Overview",
        _table((*_OVERVIEW, "problems"), _overview(contents, intervals=True)),
        *(f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in plots),
    ]
    for benchmark in contents["benchmarks"]:
        blocks += _benchmark(benchmark)
    blocks += ["## Settings", _table(("setting", "value"), _settings(settings, contents["benchmarks"]))]
    return "\n\n".join(blocks) + "\n"


def summary_tables(contents: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return title, names of columns and rows of the tables for a terminal: one, of all benchmarks and ways.

    It is at most 80 columns wide with the paper's benchmarks; all else is in the report.

    Args:
        contents (`dict`): As for [`render_markdown`].
    """
    rows = [cells[: len(_OVERVIEW)] for cells in _overview(contents, intervals=False)]
    return [("benchmarks, scores from 0 to 100", list(_OVERVIEW), rows)]


_OVERVIEW = ("benchmark", "way", *SCORERS, "positions")


def _overview(contents: dict[str, Any], *, intervals: bool) -> Iterable[list[str]]:
    for benchmark in contents["benchmarks"]:
        for way in benchmark["ways"]:
            yield [
                f"{benchmark['name']} {benchmark['language']}",
                way_title(way["way"], way["top_k"]),
                *overview_scores(way["scores"], intervals=intervals),
                positions_cell(way),
                f"{len(way['problems']):,}",
            ]


def _title(benchmark: dict[str, Any]) -> str:
    name, language = one_line(benchmark["name"]), one_line(benchmark["language"])
    return f"{name} ({language}), {counted(benchmark['questions'], 'question')}"


def _benchmark(benchmark: dict[str, Any]) -> Iterable[str]:
    ways, scorers = benchmark["ways"], benchmark["ways"][0]["scores"]
    yield f"## {_title(benchmark)}"
    if not scorers:
        yield one_line(benchmark["unscored"])
    yield _table(("way", *map(_column, scorers), *_PLAIN_COLUMNS), map(_row, ways))
    yield from map(one_line, benchmark["notes"])
    yield from _fewer_items(ways)
    for number, score in enumerate(scorers):
        notes = [*_left_out(benchmark, number), *_unextractable(ways, number)]
        if notes:
            yield one_line(f"{_column(score)}: {'; '.join(notes)}.")
    if benchmark["differences"]:
        yield "Paired differences, in points:"
        yield _table(("difference", *map(_column, scorers)), map(_difference, benchmark["differences"]))
    for part in ("split", "kind"):
        yield from _break_down(benchmark, part)
    yield from _problems(ways)
    yield from _published(benchmark["published"])


_PLAIN_COLUMNS = ("prompt positions", "problems")


def _row(way: dict[str, Any]) -> list[str]:
    title, scores = way_title(way["way"], way["top_k"]), map(score_cell, way["scores"])
    return [title, *scores, positions_cell(way), f"{len(way['problems']):,}"]


def _fewer_items(ways: Sequence[dict]) -> Iterable[str]:
    """Say where a way gave fewer items than it might: a bank may have fewer, and so may a record."""
    found = [
        f"{way_title(way['way'], way['top_k'])}: {way['items']:,g} items on average"
        for way in ways
        if way["items"] not in (None, way["top_k"])
    ]
    if found:
        yield f"{'; '.join(found)}."


def _difference(row: dict[str, Any]) -> list[str]:
    of, to = way_title(row["way"], row["top_k"]), way_title(row["minus"]["way"], row["minus"]["top_k"])
    return [f"{of} − {to}", *map(difference_cell, row["scores"])]


def _column(score: dict[str, Any]) -> str:
    return f"{score['scorer']}, {score['metric']}"


def _left_out(benchmark: dict[str, Any], number: int) -> Iterable[str]:
    left_out = benchmark["questions"] - benchmark["ways"][0]["scores"][number]["questions"]
    if left_out:
        yield f"questions that this scorer leaves out: {left_out:,}"


def _unextractable(ways: Sequence[dict], number: int) -> Iterable[str]:
    found = [
        f"{way['scores'][number]['unextractable']:,} ({way_title(way['way'], way['top_k'])})"
        for way in ways
        if way["scores"][number]["unextractable"]
    ]
    if found:
        yield f"texts in which no answer was found: {', '.join(found)}"


def _break_down(benchmark: dict[str, Any], part: str) -> Iterable[str]:
    ways, scores = benchmark["ways"], benchmark["ways"][0]["scores"]
    if not scores or not shown_score(scores)[f"by_{part}"]:
        return
    title = one_line(f"{_column(shown_score(scores))}, mean by {part}")
    parts = shown_score(scores)[f"by_{part}"]
    if len(parts) > MOST_PARTS:
        yield f"{title}: there are {len(parts)}, see `report.json`."
        return
    yield f"{title} (questions); intervals and other scorers are in `report.json`:"
    means = {
        way_title(way["way"], way["top_k"]): [
            mean_cell(each["mean"]) for each in shown_score(way["scores"])[f"by_{part}"]
        ]
        for way in ways
    }
    header = (f"{each[part]} ({each['questions']:,})" for each in parts)
    yield _table(("way", *header), ([way, *cells] for way, cells in means.items()))


def _problems(ways: Sequence[dict]) -> Iterable[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for way in ways:
        for problem in way["problems"]:
            reasons.setdefault((problem["id"], problem["problem"]), []).append(way_title(way["way"], way["top_k"]))
    if not reasons:
        return
    lines = [
        f"* {one_line(question)}: {one_line(problem)} ({'; '.join(found) if len(found) < len(ways) else 'all ways'})"
        for (question, problem), found in list(reasons.items())[:MOST_PROBLEMS]
    ]
    if len(reasons) > MOST_PROBLEMS:
        lines.append(f"* and {len(reasons) - MOST_PROBLEMS:,} more, in `report.json`")
    yield "Not asked, and so counted wrong:" if ways[0]["scores"] else "Not asked:"
    yield "\n".join(lines)


def _published(published: dict[str, Any]) -> Iterable[str]:
    if published["numbers"]:
        yield "Published numbers of the same benchmark, scorer, protocol, model and number of questions:"
        yield _table(
            ("way", "scorer", "published", "here", "source"),
            (
                [way_title(row["way"], row["top_k"]), _column(row), f"{row['value']:.2f}", f"{row['here']:.2f}"]
                + [row["source"]]
                for row in published["numbers"]
            ),
        )
    if published["different"]:
        shown, more = published["different"][:MOST_DIFFERENT], len(published["different"]) - MOST_DIFFERENT
        yield "\n".join(
            [f"* {one_line(each)}" for each in shown] + [f"* and {more} more, in `report.json`"] * (more > 0)
        )
    if published["reason"]:
        yield published["reason"]


def _settings(settings: dict[str, Any], benchmarks: Sequence[dict]) -> Iterable[list[str]]:
    for name, value in settings.items():
        if value in (None, {}, ""):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield [name.replace("_", " "), f"`{text}`"]
    for benchmark in benchmarks:
        for file in benchmark["files"]:
            yield [
                f"data of {benchmark['name']} ({benchmark['language']})",
                f"`{file['file']}`, sha256 `{file['sha256']}`",
            ]


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)] if len(header) > 2 else [header, ["---", "---"]]
    return "\n".join(f"| {' | '.join(map(one_line, cells))} |" for cells in [*lines, *rows])
