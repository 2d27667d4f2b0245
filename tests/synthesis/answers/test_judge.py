import pytest

from comem_hf.evaluation.benchmarks import Benchmark, BenchmarkQuestion
from comem_hf.synthesis.answers.judge import judge_of
from comem_hf.synthesis.settings.source import SourceSettings


def asked(**reference) -> BenchmarkQuestion:
    return BenchmarkQuestion("a/1", "What?", None, reference)


def test_an_answer_of_ones_own_is_exact_and_a_benchmarks_is_scored():
    is_right = judge_of(SourceSettings("own", questions="q.jsonl"), Benchmark("own", "en", ()))
    question = asked(answers=("Athens", "Athína"))
    texts = (" athens", "Athína", "Athens.", "Reasoning Process: flags\nFinal answer: \\boxed{Athens}")
    assert [is_right(text, question) for text in texts] == [True, True, False, True]

    # Two of ten people wrote it: VQA accuracy 0.6, and exact match for the release.
    question = asked(answers=[{"answer": text, "answer_id": n} for n, text in enumerate(["dog"] * 2 + ["cat"] * 8)])
    for settings, expected in (({}, True), ({"min_score": 0.7}, False), ({"scorer": "release"}, True)):
        source = SourceSettings("vqa", benchmark="okvqa", **settings)
        assert judge_of(source, Benchmark("okvqa", "en", ()))("\\boxed{dog}", question) is expected
    with pytest.raises(ValueError, match="OVEN's answers are looked up"):
        judge_of(SourceSettings("oven", benchmark="oven"), Benchmark("oven", "en", ()))
