"""The whole way from a picture to the first token: the processor, a bank's search and its stored memory."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from comem_hf import CoMemProcessor, MemoryBank, MemoryItem
from comem_hf.answering import question_inputs
from comem_hf.default import default_path
from comem_hf.modeling.modeling_comem import CoMemForConditionalGeneration

from .shapes import Shape


PLAIN, SEARCHED = "from the picture: no memory", "from the picture: search, stored memory, 10 items"
HITS, ITEMS = 10, 12
PATCH = 14  # pixels
WORDS = "the of and to in a is that for it as was with be by on not he".split()


def processor_of(shape: Shape) -> CoMemProcessor:
    """Return the embedded default's processor, with the backbone's own limits for other shapes than the default's."""
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    if shape.name != "atlas-small":
        processor.image_processor.size = {"shortest_edge": 56 * 56, "longest_edge": 1280 * 28 * 28}
        processor.memory_min_pixels, processor.memory_max_pixels = 16 * 28 * 28, 64 * 28 * 28
    return processor


def from_picture(
    model: CoMemForConditionalGeneration, shape: Shape, folder: Path, settings: dict
) -> dict[str, Callable[[], object]]:
    """Build a small bank; return the ways from a picture to the first token by name.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        shape ([`Shape`]): Its shape.
        folder (`Path`): Where the bank goes.
        settings (`dict`): Arguments of `generate`.
    """
    processor, draw = processor_of(shape), random.Random(0)
    pixels = np.random.default_rng(0)
    height, width = (512, 512) if shape.question_picture == (36, 36) else [PATCH * n for n in shape.question_picture]

    def picture() -> Image.Image:
        return Image.fromarray(pixels.integers(0, 256, (height, width, 3), dtype=np.uint8))

    def text(tokens: int) -> str:
        words = " ".join(draw.choices(WORDS, k=tokens))
        return processor.tokenizer.decode(processor.tokenizer(words)["input_ids"][:tokens])

    items = [MemoryItem(image=picture(), text=text(shape.item_text), id=str(number)) for number in range(ITEMS)]
    bank = MemoryBank.build(items, model=model, processor=processor, output_dir=folder / "bank", batch_size=4)
    query, question = picture(), text(shape.question_text // 2)

    def plain():
        inputs = question_inputs(processor, [question], [query]).to(model.device)
        model.generate(**inputs, **settings)

    def searched():
        memory = bank.memory_inputs([bank.search(image=query, k=HITS)])
        inputs = question_inputs(processor, [question], [query], memory_inputs=memory).to(model.device)
        model.generate(**inputs, **settings)

    return {PLAIN: plain, SEARCHED: searched}
