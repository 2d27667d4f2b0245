"""A made-up benchmark of two splits, two scorers, and answers in three ways."""

import pytest

from comem_hf.evaluation.asking.prediction import Answers, Prediction
from comem_hf.evaluation.benchmarks.question import Benchmark, BenchmarkQuestion
from comem_hf.evaluation.report.result import BenchmarkResult, ReportSettings
from comem_hf.evaluation.scoring.scorer import Scorer


def harmonic(means) -> float:
    """InfoSeek's number: a split without a right answer, or without questions, makes it 0."""
    scores = [round(100 * means.get(split, 0), 2) for split in ("old", "new")]
    return 0.0 if 0 in scores else round(2 / sum(1 / score for score in scores), 2)


OFFICIAL = Scorer(
    name="official",
    metric="accuracy",
    extracts=False,
    score=lambda text, question: float(text == question.reference["answer"]),
    group=lambda question: question.split,
    headline=harmonic,
)
RELEASE = Scorer(
    name="release",
    metric="exact match",
    extracts=True,
    score=lambda text, question: 1.0 if question.reference["answer"] in text else 0.25 if text else 0.0,
    group=lambda question: None if question.kind == "odd" else "all",
    headline=lambda means: round(100 * means["all"], 2),
)


def extract(text: str, question: BenchmarkQuestion) -> str:
    """Find the answer after a colon; without one there is none."""
    return text.partition(":")[2]


def question(number: int, **fields) -> BenchmarkQuestion:
    fields = {"split": "old" if number < 2 else "new", "kind": "odd" if number == 5 else "even"} | fields
    fields = {"reference": {"answer": f"a{number}"}} | fields
    return BenchmarkQuestion(f"q{number}", f"Which? ({number})", None, **fields)


def answers(way: str, top_k: int, right: str, positions: int = 100, problems=()) -> Answers:
    """One answer a question: `right` has a letter for each, r(ight), w(rong) or n(othing found)."""
    texts = {"r": "Final answer:a{}", "w": "Final answer:b{}", "n": "no idea {}"}
    return Answers(
        way,
        top_k,
        tuple(
            Prediction(f"q{number}", "", (), 0, "the picture is missing")
            if number in problems
            else Prediction(f"q{number}", texts[letter].format(number), ("item",) * top_k, positions + number)
            for number, letter in enumerate(right)
        ),
    )


@pytest.fixture
def result(tmp_path) -> BenchmarkResult:
    file = tmp_path / "made_up.jsonl"
    file.write_text("{}\n")
    benchmark = Benchmark("made_up", "en", tuple(map(question, range(6))), files=(file,))
    ways = (
        answers("no memory", 0, "rwrwnw", problems=[3]),
        answers("RAG", 3, "rwrrww", 1100, problems=[3]),
        answers("memory", 3, "rrrwrr", 124, problems=[3]),
    )
    return BenchmarkResult(benchmark, (OFFICIAL, RELEASE), ways)


@pytest.fixture
def settings() -> ReportSettings:
    return ReportSettings(
        command="comem evaluate --benchmark made_up",
        model="ann/memory",
        backbone="ann/backbone-7B",
        memory_fingerprint="f" * 64,
        bank={"name": "ann/bank", "items": 225},
        protocol="release",
        sampling={"do_sample": False, "max_new_tokens": 32},
        versions={"torch": "2.13.0"},
        device="cpu, float32",
        run={"started": "2026-01-01"},
    )
