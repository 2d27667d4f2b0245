"""The embedded bank with its model, and a dozen items for the tiny one."""

import pytest

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank, MemoryItem
from comem_hf.default import default_path
from tests.conftest import make_image


@pytest.fixture(scope="session")
def embedded() -> MemoryBank:
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    return MemoryBank.from_pretrained(default_path("bank"), model=model, processor=processor)


@pytest.fixture(scope="session")
def dozen() -> list[MemoryItem]:
    return [MemoryItem(image=make_image(seed), text=f"Fact {seed}.", id=f"item-{seed}") for seed in range(12)]
