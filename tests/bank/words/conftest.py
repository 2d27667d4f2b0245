"""Texts of made-up words, some of which are in many."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def texts() -> list[str | None]:
    """Three hundred texts of up to twelve words; every tenth row has none."""
    random = np.random.default_rng(0)
    vocabulary = np.array([f"w{number}" for number in range(80)] + ["ŵé", "猫の絵", "a" * 70])
    weights = 1 / np.arange(1, len(vocabulary) + 1)
    rows = [random.choice(vocabulary, random.integers(1, 13), p=weights / weights.sum()) for _ in range(300)]
    return [None if number % 10 == 9 else " ".join(row) for number, row in enumerate(rows)]
