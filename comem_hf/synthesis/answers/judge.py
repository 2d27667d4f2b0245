"""Whether the teacher's answer is right."""

from collections.abc import Callable

from comem_hf.evaluation import exact_match
from comem_hf.evaluation.benchmarks.question import Benchmark, BenchmarkQuestion
from comem_hf.evaluation.scoring import extract_answer, scorers_of
from comem_hf.synthesis.settings.source import SourceSettings


Judge = Callable[[str, BenchmarkQuestion], bool]


def judge_of(source: SourceSettings, benchmark: Benchmark) -> Judge:
    """Return what decides whether a text answers a question of a source.

    Args:
        source ([`SourceSettings`]): The source.
        benchmark ([`Benchmark`]): Its questions.

    Returns:
        `Callable[[str, BenchmarkQuestion], bool]`: Exact match with one of the answers, lower-cased and stripped, for
        questions of one's own; for a benchmark, whether its scorer gives at least `min_score`.

    Raises:
        ValueError: If the benchmark has no such scorer.
    """
    if source.benchmark is None:
        return _is_exact
    wanted = source.scorer or "official"
    scorer = next(scorer for scorer in scorers_of(benchmark) if scorer.name == wanted)

    def is_right(text: str, question: BenchmarkQuestion) -> bool:
        return scorer.score(text if scorer.extracts else extract_answer(text), question) >= source.min_score

    return is_right


def _is_exact(text: str, question: BenchmarkQuestion) -> bool:
    return any(exact_match(extract_answer(text), answer) for answer in question.reference["answers"])
