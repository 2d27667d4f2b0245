"""Questions about pictures of the bank, in the form of a benchmark."""

import io

import pytest

from comem_hf.evaluation.benchmarks.question import Benchmark, BenchmarkQuestion
from tests.conftest import make_image


def encoded(seed: int, size=(112, 84)) -> bytes:
    buffer = io.BytesIO()
    make_image(seed, size).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def benchmark_questions() -> Benchmark:
    words = ["What?", "What is it?", "Which fact?", "And this?", "Why?"]
    pictures = [encoded(0), None, encoded(2), b"no picture", encoded(3)]
    questions = (
        BenchmarkQuestion(f"q{number}", word, picture, {"answers": ["x"]})
        for number, (word, picture) in enumerate(zip(words, pictures, strict=True))
    )
    return Benchmark("okvqa", "en", tuple(questions))
