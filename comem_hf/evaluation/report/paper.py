"""Published numbers beside ours, where they measure the same thing.

The paper is "Towards General Continuous Memory for Vision-Language Models" (arXiv 2505.17670). Its tables are not
repeated here: a number that nobody can check against its source is worse than none. Who has the paper at hand writes
the numbers of interest to a JSON file (see [`load_published`]), and the report puts them beside its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from comem_hf.cards.generated import counted
from comem_hf.evaluation.asking.prediction import WAYS
from comem_hf.evaluation.benchmarks import BENCHMARKS

from .cells import SCORERS
from .result import ReportSettings, way_title


PAPER = "https://arxiv.org/abs/2505.17670"
RELEASE = "https://github.com/WenyiWU0111/CoMEM/tree/65de858"

# Lines of the question files in the release, and so how many questions its numbers are of: folders
# `CoMEM-inference/infoseek/val_dataset` and `CoMEM-inference/OVEN` (3,000 entity questions and 3,291 query questions).
# Its scripts ask RAG only the first 2,000 of the translated questions, and drop questions whose picture is missing.
RELEASE_QUESTIONS = {
    ("infoseek", "en"): 4708,
    ("infoseek_multilingual", "zh"): 4708,
    ("infoseek_multilingual", "ru"): 4708,
    ("infoseek_multilingual", "es"): 4708,
    ("infoseek_multilingual", "bg"): 4708,
    ("infoseek_multilingual", "pt"): 4706,
    ("oven", "en"): 6291,
}


@dataclass(frozen=True)
class PublishedNumber:
    """A number of a published table, with what it was measured on.

    Args:
        benchmark (`str`): The benchmark, by its name here.
        language (`str`): Language of the questions.
        scorer (`str`): The scorer that it was measured with: `"release"` for the paper's own tables.
        questions (`int`): Number of questions that it is a mean of.
        protocol (`str`): The protocol: `"release"` for the paper's own tables.
        model (`str`): Id or name of the model.
        way (`str`): `"no memory"`, `"RAG"` or `"memory"`.
        top_k (`int`): Items per question; 0 without items.
        value (`float`): The number, 0 to 100.
        source (`str`): Where it stands: an address and the number of the table.
        metric (`str`, *optional*, defaults to `""`): What it measures, as the report names it (`"F1"`), where a scorer
            gives several numbers; without it, the first of them.
    """

    benchmark: str
    language: str
    scorer: str
    questions: int
    protocol: str
    model: str
    way: str
    top_k: int
    value: float
    source: str
    metric: str = ""


def load_published(path: Path) -> tuple[PublishedNumber, ...]:
    """Read published numbers from a JSON file: a list of objects with the fields of [`PublishedNumber`].

    `metric` may be left out.

    Args:
        path (`Path`): The file.

    Raises:
        ValueError: If the file cannot be read, or an entry lacks a field, has another one or one of another type, or
            names no benchmark, scorer or way of this package.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"Cannot read published numbers from {str(path)!r}: {error}.") from error
    if not isinstance(entries, list):
        raise ValueError(f"{str(path)!r} must hold a list of published numbers, got a {type(entries).__name__}.")
    return tuple(_number(entry, f"Published number {at} of {str(path)!r}") for at, entry in enumerate(entries, 1))


def _number(entry: Any, what: str) -> PublishedNumber:
    kinds = {field.name: (int, float) if field.type is float else field.type for field in fields(PublishedNumber)}
    needed = [name for name in kinds if name != "metric"]
    if not isinstance(entry, dict) or not {*needed} <= entry.keys() <= kinds.keys():
        raise ValueError(
            f"{what} must have the fields {', '.join(needed)}, may have `metric`, and no other, got {entry!r}."
        )
    for name in entry:
        kind = kinds[name]
        if not isinstance(entry[name], kind) or isinstance(entry[name], bool):
            wanted = {str: "a text", int: "a whole number"}.get(kind, "a number")
            raise ValueError(f"`{name}` of {what[0].lower() + what[1:]} must be {wanted}, got {entry[name]!r}.")
    for name, known in (("benchmark", BENCHMARKS), ("scorer", SCORERS), ("way", WAYS)):
        if entry[name] not in known:
            raise ValueError(
                f"`{name}` of {what[0].lower() + what[1:]} must be one of {list(known)}, got {entry[name]!r}."
            )
    if not 0 <= entry["value"] <= 100:
        raise ValueError(f"`value` of {what[0].lower() + what[1:]} must be from 0 to 100, got {entry['value']!r}.")
    return PublishedNumber(**entry)


def stand_beside(
    benchmark: dict[str, Any], settings: ReportSettings, published: Sequence[PublishedNumber]
) -> dict[str, Any]:
    """Find the published numbers that measure the same as ours, and say of the others what differs.

    Args:
        benchmark (`dict`): A benchmark of the report, as in `report.json`.
        settings (`ReportSettings`): The settings of the run. Without memory, a model is its backbone, so that
            published numbers of the backbone compare, too.
        published (`Sequence[PublishedNumber]`): Published numbers.

    Returns:
        `dict`: `{"numbers": [{"way", "top_k", "scorer", "metric", "value", "here", "source"}], "different": list[str],
        "reason": str}`; a sentence for each number that differs, and why there is nothing to compare, if so.
    """
    known = [row for row in published if (row.benchmark, row.language) == (benchmark["name"], benchmark["language"])]
    if not known:
        return {"numbers": [], "different": [], "reason": _nothing_known(benchmark, bool(published))}
    asked = [way for way in benchmark["ways"] if way["asked"]]
    if not asked:
        reason = "No published number stands beside these: no question could be asked."
        return {"numbers": [], "different": [], "reason": reason}
    benchmark = {**benchmark, "ways": asked}
    differences = [_differences(row, benchmark, settings) for row in known]
    numbers = [
        {
            "way": row.way,
            "top_k": row.top_k,
            "scorer": row.scorer,
            "metric": _here(row, benchmark)["metric"],
            "value": row.value,
            "here": _here(row, benchmark)["score"],
            "source": row.source,
        }
        for row, different in zip(known, differences, strict=True)
        if not different
    ]
    sentences = [
        f"Not comparable with {row.value:.2f} ({way_title(row.way, row.top_k)}, {row.scorer}) of {row.source}, "
        f"which has {'; '.join(different)}."
        for row, different in zip(known, differences, strict=True)
        if different
    ]
    return {"numbers": numbers, "different": sentences, "reason": ""}


def _here(row: PublishedNumber, benchmark: dict[str, Any]) -> dict[str, Any]:
    """Our score of the same way, scorer and metric."""
    way = next(way for way in benchmark["ways"] if (way["way"], way["top_k"]) == (row.way, row.top_k))
    return next(score for score in way["scores"] if _same_measure(row, score))


def _same_measure(row: PublishedNumber, score: dict[str, Any]) -> bool:
    return score["scorer"] == row.scorer and row.metric in ("", score["metric"])


def _nothing_known(benchmark: dict[str, Any], some: bool) -> str:
    questions = RELEASE_QUESTIONS.get((benchmark["name"], benchmark["language"]))
    why = "the file of published numbers has none for this benchmark and language" if some else "none were given"
    reason = f"No published number stands beside these: {why}"
    if questions not in (None, benchmark["questions"]):
        reason += (
            f", and the paper's ({PAPER}) would not compare, because its release asks {questions:,} questions, not "
            f"{benchmark['questions']:,}"
        )
    return f"{reason}."


def _differences(row: PublishedNumber, benchmark: dict[str, Any], settings: ReportSettings) -> list[str]:
    ways = {(way["way"], way["top_k"]) for way in benchmark["ways"]}
    scores = benchmark["ways"][0]["scores"]
    found = []
    models = [settings.model] if row.way == "memory" else [settings.model, settings.backbone]
    if _plain(row.model) not in map(_plain, models):
        found.append(f"the model {row.model} (here {' on '.join(filter(None, models))})")
    if row.protocol != settings.protocol:
        found.append(f"the protocol {row.protocol!r} (here {settings.protocol!r})")
    if row.questions != benchmark["questions"]:
        found.append(f"{counted(row.questions, 'question')} (here {benchmark['questions']:,})")
    if not any(_same_measure(row, score) for score in scores):
        measure = f"the scorer {row.scorer!r}" + (f" with the metric {row.metric!r}" if row.metric else "")
        found.append(f"{measure} (not among those here)")
    if (row.way, row.top_k) not in ways:
        found.append(f"the way {row.way!r} with {row.top_k} items (not among those here)")
    return found


def _plain(model: str | None) -> str:
    return (model or "").rpartition("/")[2].lower()
