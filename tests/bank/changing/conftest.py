"""A bank to change, and items that it does not hold."""

import pytest

from comem_hf import MemoryBank, MemoryItem
from tests.conftest import make_image


@pytest.fixture
def mine(copy, model, tiny_processor) -> MemoryBank:
    """A copy of the bank, ready to be changed."""
    return MemoryBank.from_pretrained(copy, model=model, processor=tiny_processor)


@pytest.fixture(scope="session")
def new_items() -> list[MemoryItem]:
    return [MemoryItem(image=make_image(seed), text=f"New fact {seed}.", id=f"new-{seed}") for seed in range(20, 25)]


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".writer.lock"}
