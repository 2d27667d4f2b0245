"""Predictions of other code, in place of our own."""

from typing import TYPE_CHECKING, Any

from .choice import Choice


if TYPE_CHECKING:
    from comem_hf.evaluation.benchmarks import Benchmark
    from comem_hf.evaluation.report.result import BenchmarkResult, ReportSettings

WAY = "predictions"
NO_PREDICTION = "There is no prediction for the question."


def of_other_code(
    benchmarks: "list[Benchmark]", scorers: list[dict[str, Any]], choice: Choice
) -> "tuple[list[BenchmarkResult], ReportSettings]":
    """Read the predictions of a file, as a result of the one benchmark that they are of.

    Raises:
        ValueError: If the file cannot be read, or answers what was not asked.
    """
    from comem_hf.evaluation.asking.prediction import Answers, Prediction
    from comem_hf.evaluation.records import load_predictions
    from comem_hf.evaluation.report.model_index import OF_OTHER_CODE
    from comem_hf.evaluation.report.result import BenchmarkResult, ReportSettings
    from comem_hf.modeling.local_paths_comem import public_name

    setting = "multiple_choice" if choice.multiple_choice else "direct_answer"
    texts = load_predictions(choice.predictions, benchmarks[0].name, setting=setting)
    if len(benchmarks) > 1:
        languages = [benchmark.language for benchmark in benchmarks]
        raise ValueError(f"`--predictions` are of one language; choose one of {languages} with `--language`.")
    (benchmark,), (own,) = benchmarks, scorers
    known = {question.id for question in benchmark.questions}
    unknown = [question_id for question_id in texts if question_id not in known]
    if unknown:
        raise ValueError(
            f"{str(choice.predictions)!r} answers {unknown[0]!r}, which is no question here of {benchmark.name} "
            f"({len(unknown)} such ids): another `--split`, `--language` or `--limit`?"
        )
    predictions = tuple(
        Prediction(question.id, texts[question.id], (), 0)
        if question.id in texts
        else Prediction(question.id, "", (), 0, NO_PREDICTION)
        for question in benchmark.questions
    )
    result = BenchmarkResult(benchmark, answers=(Answers(WAY, 0, predictions),), **own)
    settings = ReportSettings(
        command=choice.command(),
        model=public_name(str(choice.predictions)),
        backbone=None,
        memory_fingerprint=None,
        bank={},
        protocol=OF_OTHER_CODE,
        sampling={},
        versions={},
        device="",
    )
    return [result], settings
