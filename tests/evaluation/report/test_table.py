import dataclasses
import json

from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.evaluation.report.contents import report_contents
from comem_hf.evaluation.report.paper import PublishedNumber
from comem_hf.evaluation.report.result import BenchmarkResult
from comem_hf.evaluation.report.table import render_markdown, summary_tables
from tests.evaluation.report.conftest import OFFICIAL, answers, extract, question


OVERVIEW = """\
## Overview

| benchmark | way | official | release | positions | problems |
| --- | ---: | ---: | ---: | ---: | ---: |
| made_up en | no memory | 33.33 [0.0, 66.7] | 50.00 [15.0, 85.0] | 102 | 1 |
| made_up en | RAG, k = 3 | 33.33 [0.0, 66.7] | 50.00 [15.0, 85.0] | 1,102 | 1 |
| made_up en | memory, k = 3 | 85.71 [40.0, 100.0] | 80.00 [40.0, 100.0] | 126 | 1 |

![score by items](score_by_items.png)

"""
REPORT = """\
## made_up (en), 6 questions

| way | official, accuracy | release, exact match | prompt positions | problems |
| --- | ---: | ---: | ---: | ---: |
| no memory | 33.33 [0.0, 66.7] | 50.00 [15.0, 85.0] | 102 | 1 |
| RAG, k = 3 | 33.33 [0.0, 66.7] | 50.00 [15.0, 85.0] | 1,102 | 1 |
| memory, k = 3 | 85.71 [40.0, 100.0] | 80.00 [40.0, 100.0] | 126 | 1 |

official, accuracy: texts in which no answer was found: 1 (no memory).

release, exact match: questions that this scorer leaves out: 1.

Paired differences, in points:

| difference | official, accuracy | release, exact match |
| --- | ---: | ---: |
| memory, k = 3 − no memory | +52.38 [+14.3, +100.0] | +30.00 [+0.0, +60.0] |
| memory, k = 3 − RAG, k = 3 | +52.38 [+14.3, +100.0] | +30.00 [+0.0, +60.0] |

official, accuracy, mean by split (questions); intervals and other scorers are in `report.json`:

| way | old (2) | new (4) |
| --- | ---: | ---: |
| no memory | 50.0 | 25.0 |
| RAG, k = 3 | 50.0 | 25.0 |
| memory, k = 3 | 100.0 | 75.0 |

official, accuracy, mean by kind (questions); intervals and other scorers are in `report.json`:

| way | even (5) | odd (1) |
| --- | ---: | ---: |
| no memory | 40.0 | 0.0 |
| RAG, k = 3 | 40.0 | 0.0 |
| memory, k = 3 | 80.0 | 100.0 |

Not asked, and so counted wrong:

* q3: the picture is missing (all ways)

No published number stands beside these: none were given.

## Settings

| setting | value |
| --- | --- |
| command | `comem evaluate --benchmark made_up` |
"""


def test_a_report_is_exactly_this(result, settings):
    text = render_markdown(report_contents([result], settings, extract), ["score_by_items.png"])
    assert OVERVIEW + REPORT in text
    assert text.startswith("# Benchmarks of ann/memory\n\nScores from 0 to 100. In brackets: 95% confidence intervals")
    assert "| data of made_up (en) | `made_up.jsonl`, sha256 `ca3d163b" in text and "2026-01-01" not in text


def test_all_that_the_page_shows_is_in_the_json(result, settings):
    contents = report_contents([result], settings, extract)
    assert render_markdown(json.loads(json.dumps(contents))) == render_markdown(contents)


def test_many_problems_and_kinds_are_cut_short_on_the_page_alone(settings):
    questions = tuple(question(number, kind=f"kind | {number % 13}") for number in range(40))
    ways = (
        answers("no memory", 0, "r" * 40, problems=range(15)),
        answers("RAG", 3, "r" * 40, problems=[0]),
    )
    result = BenchmarkResult(Benchmark("made_up", "zh", questions), (OFFICIAL,), ways)
    text = render_markdown(report_contents([result], settings, extract))
    assert "official, accuracy, mean by kind: there are 13, see `report.json`." in text
    assert "* q0: the picture is missing (all ways)\n* q1: the picture is missing (no memory)\n" in text
    assert "* q9: the picture is missing (no memory)\n* and 5 more, in `report.json`\n" in text


def test_a_bar_or_a_line_break_in_a_name_does_not_break_the_table(settings, result):
    scorer = dataclasses.replace(OFFICIAL, metric="a | b\nc")
    questions = [dataclasses.replace(each, split=f"{each.split} | x") for each in result.benchmark.questions]
    scorer = dataclasses.replace(scorer, headline=lambda means: 50.0)
    benchmark = dataclasses.replace(result.benchmark, questions=tuple(questions))
    result = dataclasses.replace(result, benchmark=benchmark, scorers=(scorer,))
    text = render_markdown(report_contents([result], settings, extract))
    assert "| way | official, a \\| b c | prompt positions | problems |" in text
    assert "| way | old \\| x (2) | new \\| x (4) |" in text


def test_published_numbers_stand_beside_ours(settings, result):
    row = PublishedNumber("made_up", "en", "release", 6, "release", "memory", "memory", 3, 71.5, "a paper, table 2")
    text = render_markdown(report_contents([result], settings, extract, [row]))
    assert "| way | scorer | published | here | source |" in text
    assert "| memory, k = 3 | release, exact match | 71.50 | 80.00 | a paper, table 2 |" in text
    assert "Not comparable" not in text


def test_published_numbers_that_differ_are_told_six_of_them_beside_those_that_compare(settings, result):
    row = PublishedNumber("made_up", "en", "release", 6, "release", "memory", "memory", 3, 71.5, "a paper, table 2")
    rows = [row, *(dataclasses.replace(row, top_k=number, value=60.0) for number in range(4, 12))]
    text = render_markdown(report_contents([result], settings, extract, rows))
    assert "| 71.50 | 80.00 | a paper, table 2 |" in text
    assert (
        "* Not comparable with 60.00 (memory, k = 4, release) of a paper, table 2, which has the way 'memory' with 4 "
        "items (not among those here).\n"
    ) in text
    assert text.count("Not comparable") == 6 and "* and 2 more, in `report.json`\n" in text


def test_questions_without_answers_are_reported_unscored(result, settings):
    contents = report_contents([dataclasses.replace(result, scorers=())], settings, extract)
    text = render_markdown(contents)
    assert "Not asked:\n" in text and "wrong:" not in text
    assert summary_tables(contents)[0][2][0] == ["made_up en", "no memory", "—", "—", "102"]
    assert "These questions have no published answers: they can be answered, not scored." in text
    assert "| way | prompt positions | problems |" in text and "Paired differences" not in text


def test_a_terminal_has_one_table_of_all_benchmarks_within_80_columns(result, settings):
    scorers = (*result.scorers, dataclasses.replace(OFFICIAL, metric="F1", headline=lambda means: 1.0))
    benchmark = dataclasses.replace(result.benchmark, name="infoseek_multilingual", language="zh")
    many = [dataclasses.replace(each, top_k=each.top_k and 500) for each in result.answers]
    second = dataclasses.replace(result, benchmark=benchmark, scorers=scorers, answers=tuple(many))
    ((title, columns, rows),) = summary_tables(report_contents([result, second], settings, extract))
    assert title == "benchmarks, scores from 0 to 100"
    assert columns == ["benchmark", "way", "official", "release", "positions"]
    assert rows[1] == ["made_up en", "RAG, k = 3", "33.33", "50.00", "1,102"]
    assert rows[5] == ["infoseek_multilingual zh", "memory, k = 500", "85.71", "80.00", "126"]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    assert sum(widths) + 3 * len(widths) + 1 <= 80  # a frame, and a space on each side of a cell


def test_a_way_that_could_not_be_asked_has_dashes(settings, result):
    nothing = answers("RAG", 3, "r" * 6, problems=range(6))
    result = dataclasses.replace(result, answers=(nothing, result.answers[2]))
    row = PublishedNumber("made_up", "en", "release", 6, "release", "memory", "RAG", 3, 71.5, "a paper, table 2")
    text = render_markdown(report_contents([result], settings, extract, [row]))
    assert "| RAG, k = 3 | — | — | — | 6 |" in text and "| memory, k = 3 − RAG, k = 3 | — | — |" in text
    assert "| RAG, k = 3 | — | — |\n| memory, k = 3 | 100.0 | 75.0 |" in text
    assert "the way 'RAG' with 3 items (not among those here)" in text


def test_notes_of_the_files_and_fewer_items_than_asked_for_stand_under_the_table(settings, result):
    few = [dataclasses.replace(each, items=each.items[:2]) for each in result.answers[1].predictions]
    fewer = dataclasses.replace(result.answers[1], predictions=tuple(few))
    benchmark = dataclasses.replace(result.benchmark, notes=("Only 2 of the 28 files are there.",))
    result = dataclasses.replace(result, benchmark=benchmark, answers=(fewer, result.answers[2]))
    text = render_markdown(report_contents([result], settings, extract))
    assert "| 1 |\n\nOnly 2 of the 28 files are there.\n\nRAG, k = 3: 2 items on average.\n\n" in text


def test_one_question_is_no_questions(settings, result):
    benchmark = dataclasses.replace(result.benchmark, questions=result.benchmark.questions[:1])
    ways = (answers("no memory", 0, "r"),)
    text = render_markdown(report_contents([BenchmarkResult(benchmark, (), ways)], settings, extract))
    assert "## made_up (en), 1 question\n" in text
