"""What a report is made of: the answers to a benchmark, and the settings that they were made with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from comem_hf.cards.benchmarks import way_title
from comem_hf.evaluation.asking.prediction import Answers
from comem_hf.evaluation.benchmarks.question import Benchmark
from comem_hf.evaluation.scoring.scorer import Scorer


def shown_score(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the score that is shown where there is room for one: the first official one, if there is one.

    An official evaluator may give several numbers; [`scorers_of`] has the one that papers compare first.
    """
    return next((score for score in scores if score["scorer"] == "official"), scores[0])


@dataclass(frozen=True)
class BenchmarkResult:
    """The answers of some ways to a benchmark in one language, with the scorers that they are to be measured by.

    Args:
        benchmark (`Benchmark`): The questions.
        scorers (`tuple[Scorer, ...]`): The scorers, in the order of the report's columns; none for questions that
            cannot be scored.
        answers (`tuple[Answers, ...]`): The answers of each way, in the order of the report's rows.
        unscored (`str`, *optional*): Why there are no scorers, as a sentence.

    Raises:
        ValueError: If there are no questions or no answers, a scorer or a way is there twice, or the answers of a way
            are not those to the benchmark's questions.
    """

    benchmark: Benchmark
    scorers: tuple[Scorer, ...]
    answers: tuple[Answers, ...]
    unscored: str = "These questions have no published answers: they can be answered, not scored."

    def __post_init__(self):
        name = f"{self.benchmark.name} ({self.benchmark.language})"
        if not self.benchmark.questions or not self.answers:
            missing = "answers" if self.benchmark.questions else "questions"
            raise ValueError(f"A report of {name} needs {missing}, got none.")
        for what, keys in (
            ("scorer", [(scorer.name, scorer.metric) for scorer in self.scorers]),
            ("way", [way_title(answers.way, answers.top_k) for answers in self.answers]),
        ):
            twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
            if twice is not None:
                raise ValueError(f"A report of {name} must have each {what} once, got {twice!r} twice.")
        ids = [question.id for question in self.benchmark.questions]
        for answers in self.answers:
            way = f"The answers of {way_title(answers.way, answers.top_k)!r} to {name}"
            if len(answers.predictions) != len(ids):
                raise ValueError(f"{way} are {len(answers.predictions)}, but it has {len(ids)} questions.")
            for number, (prediction, expected) in enumerate(zip(answers.predictions, ids, strict=True), start=1):
                if prediction.id != expected:
                    raise ValueError(
                        f"{way} must be in the order of its questions: the id of answer {number} is "
                        f"{prediction.id!r}, that of question {number} is {expected!r}."
                    )


@dataclass(frozen=True)
class ReportSettings:
    """All that a reader needs to make the same answers again, for `report.json`; nothing that two such runs differ in.

    Args:
        command (`str`): The command, without paths of this machine.
        model (`str`): Id of the model on the Hub, or the name of its folder.
        backbone (`str`, *optional*): Id of its backbone, if that is known.
        memory_fingerprint (`str`, *optional*): Fingerprint of its memory encoder; `None` if it has none.
        bank (`Mapping[str, Any]`): The memory bank: its name, the number of its items, the embedder, its fingerprint.
        protocol (`str`): Name of the protocol: the prompts, pictures and order of items that were used, such as
            `"release"`; [`OF_OTHER_CODE`] for predictions of other code.
        sampling (`Mapping[str, Any]`): Settings of the generation.
        versions (`Mapping[str, str]`): Versions of the packages, by name.
        device (`str`): The device and the floating-point type, such as `"cpu, float32"`.
        further (`Mapping[str, Any]`, *optional*): Any other setting, such as the longest answer or the size of
            retrieved pictures.
        run (`Mapping[str, Any]`, *optional*): What differs from run to run: dates, times, the number of processes. It
            is written to `run.json` alone.
    """

    command: str
    model: str
    backbone: str | None
    memory_fingerprint: str | None
    bank: Mapping[str, Any]
    protocol: str
    sampling: Mapping[str, Any]
    versions: Mapping[str, str]
    device: str
    further: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return what `report.json` holds of them: all but `run`."""
        settings = asdict(self)
        del settings["run"]
        return settings
