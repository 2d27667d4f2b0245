"""The candidates of a source."""

from collections import Counter
from dataclasses import replace
from typing import Any

from comem_hf.bank import MemoryBank
from comem_hf.evaluation.benchmarks import Benchmark, load_benchmark
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.synthesis.settings.settings import SynthesisSettings
from comem_hf.synthesis.settings.source import SourceSettings

from .candidate import Candidate
from .own import read_own


def read_source(
    source: SourceSettings, settings: SynthesisSettings, bank: MemoryBank
) -> tuple[list[Candidate], Benchmark]:
    """Read the questions of a source.

    Args:
        source ([`SourceSettings`]): A source with `questions` or a `benchmark`.
        settings ([`SynthesisSettings`]): The synthesis.
        bank (`MemoryBank`): The bank.

    Returns:
        `tuple`: The candidates, and the benchmark that they are of, whose questions have ids of their own.

    Raises:
        ValueError: If a file is missing or not valid.
    """
    if source.questions is not None:
        candidates = read_own(source.questions, source.name, bank)
        questions = tuple(each.question for each in candidates)
        return candidates, Benchmark(source.name, "en", questions, (source.questions,))
    folder = source.data or settings.data
    if folder is None:
        raise ValueError(f"`data` must name the folder with the files of source {source.name!r}.")
    if source.data is None and (folder / source.benchmark).is_dir():
        folder = folder / source.benchmark
    benchmarks = load_benchmark(source.benchmark, folder, split=source.split or "train", languages=None)
    if len(benchmarks) > 1:
        languages = [benchmark.language for benchmark in benchmarks]
        raise ValueError(
            f"{source.benchmark!r} has questions in {languages}: rows are translated from one language, so take "
            "another benchmark."
        )
    (benchmark,) = benchmarks
    if source.prompt == "plain" and any(question.options for question in benchmark.questions):
        raise ValueError(
            f"Questions of source {source.name!r} have options, which the published prompt alone shows: set its "
            "`prompt` to 'published'."
        )
    return [_candidate(question, source.name, benchmark.name) for question in benchmark.questions], benchmark


def known_answer(benchmark: str, reference: dict[str, Any]) -> str | None:
    """Return the answer that a benchmark's reference gives, as a text to learn; `None` for a range of numbers.

    Of answers by several people it is the most frequent one, of names the first.

    Args:
        benchmark (`str`): Name of the benchmark.
        reference (`dict`): The reference of a [`BenchmarkQuestion`].
    """
    if benchmark == "cvqa":
        return str(reference["Label"] + 1)  # the prompt asks for the number of the option
    key = {
        "okvqa": "answers",
        "aokvqa": "direct_answers",
        "viquae": "answer",
        "oven": "entity_text",
        "mrag": "answer_choice",
    }.get(benchmark, "answer_eval")
    values = reference[key]
    values = [values] if isinstance(values, str) else list(values or ())
    texts = [value.get("answer") if isinstance(value, dict) else value for value in values]
    texts = [text for text in texts if isinstance(text, str) and text.strip()]
    if not texts:
        return None
    return Counter(texts).most_common(1)[0][0] if benchmark in ("okvqa", "aokvqa") else texts[0]


def _candidate(question: BenchmarkQuestion, source: str, benchmark: str) -> Candidate:
    reference = question.reference
    return Candidate(
        question=replace(question, id=f"{source}/{question.id}"),
        source=source,
        entity=str((reference or {}).get("entity_id") or ""),
        origin="teacher" if reference is None else "verified",
        answer=None if reference is None else known_answer(benchmark, dict(reference)),
    )
