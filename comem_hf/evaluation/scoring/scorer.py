"""What every scorer of a benchmark has: the score of an answer, and the number for all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from comem_hf.evaluation.benchmarks.question import Benchmark, BenchmarkQuestion
from comem_hf.evaluation.scoring.sets.answered import Answered
from comem_hf.evaluation.scoring.sets.means import means_by


@dataclass(frozen=True)
class Scorer:
    """A scorer of a benchmark.

    The number of a benchmark is `headline` of the mean score of each of its groups: so it can be computed again for
    any sample of the questions, as bootstrap intervals need.

    Args:
        name (`str`): `"official"` (the benchmark's own evaluator) or `"release"` (the CoMEM release's).
        metric (`str`): What it measures, such as `"VQA accuracy"`; the name of a column.
        extracts (`bool`): Whether it finds the answer in the model's text by itself. If not, it gets what
            [`extract_answer`] found in it.
        score (`Callable[[str, BenchmarkQuestion], float]`): The score of a text for a question, from 0 to 1.
        group (`Callable[[BenchmarkQuestion], str | None]`): The group whose mean a question counts in; `None` for a
            question that this scorer leaves out.
        headline (`Callable[[Mapping[str, float]], float]`): From the mean score (0 to 1) of each group that has
            questions to the benchmark's number (0 to 100), rounded where the evaluator rounds.
    """

    name: str
    metric: str
    extracts: bool
    score: Callable[[str, BenchmarkQuestion], float]
    group: Callable[[BenchmarkQuestion], str | None]
    headline: Callable[[Mapping[str, float]], float]


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
    """Score answers, and the set of them; a bar shows how far it is if that takes longer than two seconds.

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
    with tqdm(answered, desc=f"Scoring, {scorer.name} {scorer.metric}", delay=2, leave=False) as pairs:
        items = tuple(0.0 if text is None else scorer.score(text, question) for text, question in pairs)
    groups = means_by(scorer.group, answered, items)
    if not groups:
        raise ValueError(f"There is no question left to score by {scorer.name} {scorer.metric}; a mean needs one.")
    return SetScores(scorer.headline(groups), groups, items)


def check_number(scorer: Scorer, benchmark: Benchmark) -> None:
    """Refuse questions from which a scorer makes no number, before they are asked.

    Args:
        scorer (`Scorer`): The scorer.
        benchmark (`Benchmark`): The questions.

    Raises:
        `ValueError`: If the scorer leaves out all of them, or a group that its number needs has none.
    """
    groups = {scorer.group(question): 0.0 for question in benchmark.questions}
    groups.pop(None, None)
    name = f"{benchmark.name} ({benchmark.language})"
    if not groups:
        raise ValueError(
            f"The scorer {scorer.name!r} ({scorer.metric}) leaves out all questions of {name} that were read "
            f"({len(benchmark.questions)}): raise `limit`."
        )
    try:
        scorer.headline(groups)
    except ValueError as error:
        raise ValueError(f"The questions of {name} that were read give no number: {error}") from error
