"""An answer with its question, and what it is compared with."""

from typing import Any

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion


Answered = tuple[str | None, BenchmarkQuestion]


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
