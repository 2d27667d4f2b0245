from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden_scorers() -> Path:
    return Path(__file__).parents[3] / "golden/benchmarks/scorers"


@pytest.fixture(scope="session")
def vocabulary(golden_scorers) -> Path:
    return golden_scorers / "bert_base_uncased_vocab.txt"
