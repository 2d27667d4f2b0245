"""A small bank, and how to build more of them."""

import io
from functools import partial

import PIL.Image
import pytest

from comem_hf import MemoryBank, MemoryItem
from tests.conftest import make_image, make_model


def bomb() -> bytes:
    """A small file with more pixels than Pillow opens."""
    buffer = io.BytesIO()
    PIL.Image.new("1", (20000, 10000)).save(buffer, format="PNG")
    return buffer.getvalue()


def truncated_image() -> bytes:
    """A file whose header is good, and whose end is missing."""
    buffer = io.BytesIO()
    make_image(1).resize((200, 200)).save(buffer, format="PNG")
    return buffer.getvalue()[:-200]


@pytest.fixture(scope="session")
def model():
    return make_model()


@pytest.fixture(scope="session")
def other_model():
    return make_model(seed=7)


@pytest.fixture(scope="session")
def items() -> list[MemoryItem]:
    """Seven items; a shard of three leaves the last one with a single item."""
    return [
        MemoryItem(
            image=make_image(seed), text=f"Fact {seed}." * (1 + seed % 3), id=f"item-{seed}", metadata={"n": seed}
        )
        for seed in range(7)
    ]


@pytest.fixture(scope="session")
def build(model, tiny_processor):
    """`MemoryBank.build` with the tiny model and three items per file."""
    return partial(MemoryBank.build, model=model, processor=tiny_processor, batch_size=2, shard_size=3)


@pytest.fixture(scope="session")
def bank(build, items, tmp_path_factory) -> MemoryBank:
    return build(items, output_dir=tmp_path_factory.mktemp("banks") / "bank")


@pytest.fixture
def copy(bank, tmp_path):
    """Folder of a copy of the bank, for tests that damage it."""
    bank.save_pretrained(tmp_path / "copy")
    return tmp_path / "copy"
