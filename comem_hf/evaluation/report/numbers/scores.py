"""The score of each answer, and the benchmark's number for all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from comem_hf.evaluation.asking.prediction import Answers
from comem_hf.evaluation.benchmarks.question import Benchmark, BenchmarkQuestion
from comem_hf.evaluation.scoring.scorer import Scorer, check_number, score_set


Extract = Callable[[str, BenchmarkQuestion], str]
LEFT_OUT = -1


@dataclass(frozen=True)
class Groups:
    """The groups that a scorer (or a break-down) puts the questions in.

    Args:
        names (`tuple[str, ...]`): Names of the groups that have questions, in the order of the questions.
        members (`np.ndarray`): For each question the number of its group, or `LEFT_OUT`; shape `(questions,)`.
    """

    names: tuple[str, ...]
    members: np.ndarray

    @classmethod
    def of(cls, questions, group: Callable[[BenchmarkQuestion], str | None]) -> "Groups":
        """Put each of `questions` in the group that `group` names; `None` leaves it out."""
        found = [group(question) for question in questions]
        names = tuple(dict.fromkeys(name for name in found if name is not None))
        numbers = {name: number for number, name in enumerate(names)} | {None: LEFT_OUT}
        return cls(names, np.array([numbers[name] for name in found], dtype=np.int64))

    def __len__(self):
        return len(self.names)

    def sizes(self) -> np.ndarray:
        """Return the number of questions in each group."""
        return np.bincount(self.members[self.members != LEFT_OUT], minlength=len(self))


@dataclass(frozen=True)
class Scores:
    """The scores of one way's answers by one scorer.

    Args:
        scorer (`Scorer`): The scorer.
        values (`np.ndarray`): Score of each answer from 0 to 1, 0 for a question that was not asked or is left out;
            shape `(questions,)`.
        groups (`Groups`): The scorer's groups.
        means (`dict[str, float]`): Mean score of each group, 0 to 1.
        headline (`float`): The benchmark's number, 0 to 100.
        unextractable (`int`, *optional*): Texts in which no answer was found; `None` if the scorer looks for it.
    """

    scorer: Scorer
    values: np.ndarray
    groups: Groups
    means: dict[str, float]
    headline: float
    unextractable: int | None


def score_answers(benchmark: Benchmark, answers: Answers, scorer: Scorer, extract: Extract) -> Scores:
    """Score all answers of one way.

    Args:
        benchmark (`Benchmark`): The questions.
        answers (`Answers`): The answers, in the order of the questions.
        scorer (`Scorer`): The scorer. One that does not find the answer by itself gets what `extract` finds.
        extract (`Callable[[str, BenchmarkQuestion], str]`): Finds the answer in a model's text; an empty text if there
            is none.

    Returns:
        `Scores`: The scores. A question that could not be asked counts as answered wrong.

    Raises:
        ValueError: If a question has no reference, the scorer makes no number of these questions, or it gives a score
            that is not between 0 and 1.
    """
    name = f"{benchmark.name} ({benchmark.language})"
    unknown = next((question.id for question in benchmark.questions if question.reference is None), None)
    if unknown is not None:
        raise ValueError(
            f"{name} can be answered, not scored: question {unknown!r} has no reference answer, as in a test split. "
            "Score a split with answers, or send the predictions to the benchmark's own server."
        )
    check_number(scorer, benchmark)
    groups = Groups.of(benchmark.questions, scorer.group)
    answered, unextractable = [], 0
    for question, prediction, member in zip(benchmark.questions, answers.predictions, groups.members, strict=True):
        text = None
        if not prediction.problem and member != LEFT_OUT:
            text = prediction.prediction if scorer.extracts else extract(prediction.prediction, question)
            unextractable += not text and not scorer.extracts
        answered.append((text, question))
    scored = score_set(scorer, answered)
    for question, value in zip(benchmark.questions, scored.items, strict=True):
        if not 0 <= value <= 1:
            raise ValueError(
                f"The scorer {scorer.name!r} ({scorer.metric}) must give scores from 0 to 1, got {value!r} for "
                f"question {question.id!r} of {name}."
            )
    return Scores(
        scorer=scorer,
        values=np.array(scored.items, dtype=np.float64),
        groups=groups,
        means=dict(scored.groups),
        headline=float(scored.score),
        unextractable=None if scorer.extracts else unextractable,
    )
