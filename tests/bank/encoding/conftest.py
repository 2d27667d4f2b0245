"""What the tests of this folder share."""

import copy

import pytest

from comem_hf import MemoryItem
from tests.conftest import make_image, make_model


PICTURES = [make_image(1, (56, 84)), make_image(2), make_image(3, (112, 56))]


@pytest.fixture(scope="module")
def family_model(family):
    return make_model(family)


@pytest.fixture(scope="module")
def prepared(tiny_processor):
    processor = copy.copy(tiny_processor)
    processor.memory_max_pixels = 112 * 112  # several attention windows of Qwen2.5-VL
    return processor.process_memories([[MemoryItem(image=image) for image in PICTURES]])
