"""Which answer belongs to which question, and what it is compared with."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion


Answered = tuple[str | None, BenchmarkQuestion]


def answered_questions(
    predictions: Iterable[tuple[str, str]],
    questions: Sequence[BenchmarkQuestion],
    *,
    missing: Literal["refuse", "wrong", "skip"],
    unknown: Literal["refuse", "skip"],
) -> list[Answered]:
    """Return each answer with its question, as the evaluators put them together.

    Args:
        predictions (`Iterable[tuple[str, str]]`): Ids and texts, as in a predictions file.
        questions (`Sequence[BenchmarkQuestion]`): The questions.
        missing (`str`): A question without a prediction: `"refuse"` the set, count it `"wrong"`, or `"skip"` it. With
            `"skip"` the set goes by the predictions, and one that stands there twice counts twice; otherwise by the
            questions, and of several predictions the last counts.
        unknown (`str`): A prediction for no question: `"refuse"` the set, or `"skip"` the prediction.

    Returns:
        `list[tuple[str | None, BenchmarkQuestion]]`: The texts with their questions; `None` for a missing one.

    Raises:
        `ValueError`: If an id is missing or unknown and the set is to be refused.
    """
    predictions = list(predictions)
    known = {question.id: question for question in questions}
    texts = dict(predictions)
    if unknown == "refuse" and (strange := texts.keys() - known.keys()):
        raise ValueError(f"There are predictions for questions that the benchmark lacks: {some(strange)}.")
    if missing == "refuse" and (lacking := known.keys() - texts.keys()):
        raise ValueError(f"There is no prediction for {len(lacking)} of the questions: {some(lacking)}.")
    if missing == "skip":
        return [(text, known[name]) for name, text in predictions if name in known]
    return [(texts.get(question.id), known[question.id]) for question in questions]


def some(ids: Iterable[str]) -> str:
    """Return the first few of some ids, to be read."""
    ids = sorted(map(str, ids))
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")


def reference_of(question: BenchmarkQuestion, *names: str) -> tuple[Any, ...]:
    """Return what an answer to a question is compared with.

    Args:
        question (`BenchmarkQuestion`): The question.
        names (`str`): Keys of its reference.

    Returns:
        `tuple[Any, ...]`: Their values, in that order.

    Raises:
        `ValueError`: If the question has no reference, or not all of these.
    """
    if question.reference is None:
        raise ValueError(f"Question {question.id!r} has no reference to score by; take a split that has answers.")
    lacking = [name for name in names if name not in question.reference]
    if lacking:
        raise ValueError(f"The reference of question {question.id!r} has no `{lacking[0]}`, which its scorer needs.")
    return tuple(question.reference[name] for name in names)
