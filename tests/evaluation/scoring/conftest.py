from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion


@pytest.fixture
def asked() -> Callable[..., BenchmarkQuestion]:
    """Makes a question of its reference's entries."""

    def make(id: str = "q", split: str = "", options: tuple[str, ...] = (), **reference: Any) -> BenchmarkQuestion:
        return BenchmarkQuestion(id, "q", None, reference or None, split=split, options=options)

    return make


@pytest.fixture(scope="session")
def golden_scorers() -> Path:
    return Path(__file__).parents[2] / "golden/benchmarks/scorers"


@pytest.fixture(scope="session")
def vocabulary(golden_scorers) -> Path:
    return golden_scorers / "bert_base_uncased_vocab.txt"
