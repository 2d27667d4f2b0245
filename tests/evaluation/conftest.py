"""A model, a bank of four items, and questions about them."""

import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.evaluation import Question
from tests.conftest import make_image, make_model


@pytest.fixture(scope="session")
def model():
    return make_model()


@pytest.fixture(scope="session")
def bank(model, tiny_processor, tmp_path_factory) -> MemoryBank:
    images = [make_image(seed, (112, 84)) for seed in range(4)]
    items = [MemoryItem(image=image, text=f"Fact {n}.", id=f"item-{n}") for n, image in enumerate(images)]
    return MemoryBank.build(
        items, model=model, processor=tiny_processor, output_dir=tmp_path_factory.mktemp("evaluation") / "bank"
    )


@pytest.fixture
def questions() -> list[Question]:
    return [
        Question("item-0", "What is it?", "Fact 0.", "fact"),
        Question("item-1", "What?", "nothing", "other"),
        Question("item-3", "Which fact is it, and why?", "Fact 3.", "fact"),
    ]
