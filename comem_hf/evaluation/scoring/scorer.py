"""What every scorer of a benchmark has: the score of an answer, and the number for all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion


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
