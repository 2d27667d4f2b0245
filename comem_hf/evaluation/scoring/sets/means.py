"""Means of scores, and the numbers made of them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion

from .answered import Answered


LEAST = 1e-12  # what InfoSeek's and OVEN's evaluators take for a score of 0 in a harmonic mean


def means_by(
    key: Callable[[BenchmarkQuestion], str | None], answered: Sequence[Answered], items: Sequence[float]
) -> dict[str, float]:
    """Return the mean score of each group of questions, in the order of their first questions.

    Args:
        key (`Callable[[BenchmarkQuestion], str | None]`): The group of a question; `None` leaves it out.
        answered (`Sequence[tuple[str, BenchmarkQuestion]]`): The questions, with their answers.
        items (`Sequence[float]`): The score of each.

    Returns:
        `dict[str, float]`: Mean of each group, 0 to 1.
    """
    groups = defaultdict(list)
    for (_, question), score in zip(answered, items, strict=True):
        name = key(question)
        if name is not None:
            groups[name].append(score)
    return {name: sum(scores) / len(scores) for name, scores in groups.items()}


def percent(groups: Mapping[str, float]) -> float:
    """Return the mean of the only group on a scale from 0 to 100; a `ValueError` if no question is left in it."""
    if not groups:
        raise ValueError("There is no question left to score; a mean needs one.")
    (mean,) = groups.values()
    return mean * 100


def rounded_percent(groups: Mapping[str, float]) -> float:
    """Return the mean of the only group on a scale from 0 to 100, with two places."""
    return round(percent(groups), 2)


def harmonic_mean(*scores: float) -> float:
    """Return the harmonic mean of scores from 0 to 100, where 0 counts as 1e-12."""
    return len(scores) / sum(1.0 / (score or LEAST) for score in scores)


def everything(question: BenchmarkQuestion) -> str:
    """Return the group of scorers whose number is the mean over all questions."""
    return "all"
