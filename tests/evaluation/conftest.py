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


@pytest.fixture(scope="session")
def calibrated_bank(model, tiny_processor, tmp_path_factory) -> MemoryBank:
    """A bank of a dozen items, whose hits have probabilities."""
    items = [MemoryItem(image=make_image(n, (112, 84)), text=f"Fact {n}.", id=f"item-{n}") for n in range(12)]
    folder = tmp_path_factory.mktemp("evaluation") / "calibrated"
    bank = MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=folder)
    assert bank.is_calibrated
    return bank


@pytest.fixture
def embedded(calibrated_bank, monkeypatch) -> list[int]:
    """How many pictures each pass of that bank's embedder has got."""
    counts, embedder = [], calibrated_bank._state.search.embedder()
    embed_images = embedder.embed_images
    monkeypatch.setattr(embedder, "embed_images", lambda images: counts.append(len(images)) or embed_images(images))
    return counts


@pytest.fixture
def questions() -> list[Question]:
    return [
        Question("item-0", "What is it?", "Fact 0.", "fact"),
        Question("item-1", "What?", "nothing", "other"),
        Question("item-3", "Which fact is it, and why?", "Fact 3.", "fact"),
    ]
