"""Everything that a report says, as plain values: `report.json`, from which the tables and plots are made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from comem_hf.evaluation.asking.digests import digest_of_file
from comem_hf.evaluation.asking.prediction import WAYS, Answers
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.report.numbers.intervals import (
    LEVEL,
    RESAMPLES,
    SEED,
    Interval,
    resample_headlines,
    resample_means,
)
from comem_hf.evaluation.report.numbers.scores import Extract, Groups, Scores, score_answers
from comem_hf.evaluation.scoring.scorer import Scorer

from .paper import PublishedNumber, stand_beside
from .result import BenchmarkResult, ReportSettings


FORMAT = 1
_DIGITS = 4  # of numbers from 0 to 100
_PARTS = ("split", "kind")
_MEASURED = ("score", "low", "high", "mean", "unextractable")


def report_contents(
    results: Sequence[BenchmarkResult],
    settings: ReportSettings,
    extract: Extract,
    published: Sequence[PublishedNumber] = (),
) -> dict[str, Any]:
    """Score all answers, and put together what the report says.

    Args:
        results (`Sequence[BenchmarkResult]`): The answers to each benchmark, in the order of the report.
        settings (`ReportSettings`): The settings that they were made with.
        extract (`Callable[[str, BenchmarkQuestion], str]`): Finds the answer in a model's text.
        published (`Sequence[PublishedNumber]`, *optional*): Published numbers, to stand beside those that compare.

    Returns:
        `dict`: Lists, dictionaries, texts and numbers: written to JSON and read again, it is the same. Scores and
        differences are on a scale from 0 to 100; they are `None` for a way in which no question could be asked.

    Raises:
        ValueError: If nothing was measured, answers cannot be scored, or a data file is gone.
    """
    if not results:
        raise ValueError("A report needs the answers to a benchmark, got none.")
    return {
        "format": FORMAT,
        "settings": settings.record(),
        "intervals": {
            "method": "percentiles of a bootstrap over the questions within each group of the scorer",
            "level": LEVEL,
            "resamples": RESAMPLES,
            "seed": SEED,
        },
        "benchmarks": [_benchmark(result, settings, extract, published) for result in results],
    }


def _benchmark(
    result: BenchmarkResult, settings: ReportSettings, extract: Extract, published: Sequence[PublishedNumber]
) -> dict[str, Any]:
    benchmark = result.benchmark
    ways = [_way(answers) for answers in result.answers]
    differences = [
        {"way": of["way"], "top_k": of["top_k"], "minus": {"way": to["way"], "top_k": to["top_k"]}, "scores": []}
        for of, to in _pairs(ways)
    ]
    for scorer in result.scorers:
        scored = [score_answers(benchmark, answers, scorer, extract) for answers in result.answers]
        values = np.stack([scores.values for scores in scored])
        groups = scored[0].groups
        resampled = resample_headlines(resample_means(values, groups), groups.names, scorer.headline)
        parts = {part: _by(part, benchmark.questions, scorer, values) for part in _PARTS}
        for number, (way, scores) in enumerate(zip(ways, scored, strict=True)):
            by_part = {f"by_{part}": [row[number] for row in rows] for part, rows in parts.items()}
            score = _score(scores, Interval.of(resampled[:, number])) | by_part
            way["scores"].append(score if way["asked"] else _unmeasured(score))
        columns = {(way["way"], way["top_k"]): number for number, way in enumerate(ways)}
        for difference in differences:
            of = columns[difference["way"], difference["top_k"]]
            to = columns[difference["minus"]["way"], difference["minus"]["top_k"]]
            interval = Interval.of(resampled[:, of] - resampled[:, to])
            numbers = {"difference": _round(scored[of].headline - scored[to].headline)} | _ends(interval)
            if not (ways[of]["asked"] and ways[to]["asked"]):
                numbers = dict.fromkeys(numbers)
            difference["scores"].append(_named(scorer) | numbers)
    found = {
        "name": benchmark.name,
        "language": benchmark.language,
        "questions": len(benchmark.questions),
        "notes": list(benchmark.notes),
        "files": [_file(path) for path in (*benchmark.files, *filter(None, [benchmark.titles]))],
        "ways": ways,
        "differences": differences if result.scorers else [],
        "unscored": "" if result.scorers else result.unscored,
    }
    return found | {"published": stand_beside(found, settings, published)}


def _way(answers: Answers) -> dict[str, Any]:
    asked = [prediction for prediction in answers.predictions if not prediction.problem]
    known = asked if answers.way in WAYS else []  # what other code gave its model is not known
    problems = [{"id": each.id, "problem": each.problem} for each in answers.predictions if each.problem]
    return {
        "way": answers.way,
        "top_k": answers.top_k,
        "asked": len(asked),
        "problems": problems,
        "positions": _mean([prediction.positions for prediction in known]),
        "items": _mean([len(prediction.items) for prediction in known]),
        "scores": [],
    }


def _mean(counts: list[int]) -> float | None:
    return round(sum(counts) / len(counts), 1) if counts else None


def _unmeasured(score: dict[str, Any]) -> dict[str, Any]:
    """The score of a way in which no question could be asked: all are counted wrong, but nothing was measured."""
    return {
        name: [_unmeasured(part) for part in value]
        if isinstance(value, list)
        else None
        if name in _MEASURED
        else value
        for name, value in score.items()
    }


def _score(scores: Scores, interval: Interval) -> dict[str, Any]:
    sizes = scores.groups.sizes().tolist()
    return {
        **_named(scores.scorer),
        "score": _round(scores.headline),
        **_ends(interval),
        "questions": sum(sizes),
        "unextractable": scores.unextractable,
        "groups": [
            {"group": name, "questions": size, "mean": _round(100 * scores.means[name])}
            for name, size in zip(scores.groups.names, sizes, strict=True)
        ],
    }


def _by(
    part: str, questions: Sequence[BenchmarkQuestion], scorer: Scorer, values: np.ndarray
) -> list[list[dict[str, Any]]]:
    """Mean score of each split or kind, by way, where there is more than one; without questions that are left out."""

    def part_of(question: BenchmarkQuestion) -> str | None:
        return None if scorer.group(question) is None else getattr(question, part) or None

    groups = Groups.of(questions, part_of)
    if len(groups) < 2:
        return []
    resampled = resample_means(values, groups)
    rows = []
    for number, (name, size) in enumerate(zip(groups.names, groups.sizes().tolist(), strict=True)):
        means = values[:, groups.members == number].mean(axis=1).tolist()
        rows.append(
            [
                {part: name, "questions": size, "mean": _round(100 * mean)}
                | _ends(Interval.of(100 * resampled[:, number, way]))
                for way, mean in enumerate(means)
            ]
        )
    return rows


def _pairs(ways: list[dict]) -> list[tuple[dict, dict]]:
    """Memory against no memory, and against RAG with as many items."""
    return [
        (of, to)
        for of in ways
        if of["way"] == "memory"
        for to in ways
        if to["way"] == "no memory" or (to["way"] == "RAG" and to["top_k"] == of["top_k"])
    ]


def _file(path: Path) -> dict[str, Any]:
    try:
        return {"file": path.name, "sha256": digest_of_file(path), "size": path.stat().st_size}
    except OSError as error:
        raise ValueError(
            f"The data file {str(path)!r} cannot be read any more ({error.strerror}), so its digest is not known: "
            "put it back, and make the report again from the predictions."
        ) from error


def _named(scorer: Scorer) -> dict[str, str]:
    return {"scorer": scorer.name, "metric": scorer.metric}


def _ends(interval: Interval) -> dict[str, float]:
    return {"low": _round(interval.low), "high": _round(interval.high)}


def _round(value: float) -> float:
    return round(float(value), _DIGITS) + 0.0  # no minus zero
