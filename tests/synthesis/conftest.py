"""A model, a bank of eight items, and questions about them."""

import json

import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.synthesis import settings_of, synthesize
from tests.conftest import make_image, make_model


@pytest.fixture(scope="session")
def family() -> str:
    """What is made does not depend on the family."""
    return "qwen2_vl"


@pytest.fixture(scope="session")
def model(family):
    return make_model(family)


@pytest.fixture(scope="session")
def bank(model, tiny_processor, tmp_path_factory) -> MemoryBank:
    items = [MemoryItem(image=make_image(n, (112, 84)), text=f"Fact {n}.", id=f"item-{n}") for n in range(8)]
    folder = tmp_path_factory.mktemp("synthesis") / "bank"
    return MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=folder)


@pytest.fixture
def write_questions(tmp_path):
    """Writes rows as a JSONL file."""

    def write(rows, name="questions.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def make(model, tiny_processor, bank, tmp_path):
    """Makes data of plain settings."""

    def run(folder="made", translate=None, processes=None, **settings):
        given = {"output": tmp_path / folder, "batch_size": 4, "max_new_tokens": 4, "top_k": 2, **settings}
        return synthesize(model, tiny_processor, bank, settings_of(given), translate=translate, processes=processes)

    return run


@pytest.fixture
def rows_of(tmp_path):
    """Reads the rows of a side."""

    def read(folder, side="train"):
        text = (tmp_path / folder / f"{side}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    return read
