"""A set of answers scored together: which answer belongs to which question, means, and the numbers made of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion

from .scorer import Scorer


Answered = tuple[str | None, BenchmarkQuestion]
LEAST = 1e-12  # what InfoSeek's and OVEN's evaluators take for a score of 0 in a harmonic mean


@dataclass(frozen=True)
class SetScores:
    """The scores of a set of answers.

    Args:
        score (`float`): The number of the set, 0 to 100, from the scorer's `headline`.
        groups (`Mapping[str, float]`): Mean score, 0 to 1, of each group that has questions.
        items (`tuple[float, ...]`): Score of each answer, 0 to 1, in order; of those that the scorer leaves out, too.
    """

    score: float
    groups: Mapping[str, float]
    items: tuple[float, ...]


def score_set(scorer: Scorer, answered: Sequence[Answered]) -> SetScores:
    """Score answers, and the set of them.

    Args:
        scorer (`Scorer`): The scorer.
        answered (`Sequence[tuple[str, BenchmarkQuestion]]`): Texts as the scorer wants them, with their questions;
            `None` for a question without an answer, which scores 0.

    Returns:
        `SetScores`: The number, the means that it was made of, and the score of each answer.

    Raises:
        `ValueError`: If no question is left to score, a question has no reference, or the scorer's number is not
            defined for these groups.
    """
    items = tuple(0.0 if text is None else scorer.score(text, question) for text, question in answered)
    groups = means_by(scorer.group, answered, items)
    if not groups:
        raise ValueError(f"There is no question left to score by {scorer.name} {scorer.metric}; a mean needs one.")
    return SetScores(scorer.headline(groups), groups, items)


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


def percent(groups: Mapping[str, float]) -> float:
    """Return the mean of the only group on a scale from 0 to 100."""
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
