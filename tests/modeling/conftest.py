"""Batches of prompts whose pictures, lengths and numbers of memory items differ."""

from collections.abc import Callable

import pytest
import torch
from transformers import BatchFeature

from comem_hf import MemoryItem
from tests.conftest import make_image


QUESTIONS = ("What?", "Which country has this flag?", "Is it red, and if not, why?")


def make_items(count: int, seed: int = 100) -> list[MemoryItem]:
    """Items with texts and pictures of different sizes; the second has no picture."""
    return [
        MemoryItem(
            image=None if index == 1 else make_image(seed + index, (56, 28 * (index + 1))),
            text=f"Fact {seed + index}" + "!" * 3 * index,
        )
        for index in range(count)
    ]


@pytest.fixture(scope="session")
def make_inputs(tiny_processor) -> Callable[..., BatchFeature]:
    """Makes one prompt per entry of `counts`, with that many items; `None` for no memory at all."""

    def make(counts=(2,), with_image: bool = True, answer: str = "", rows=None, **kwargs) -> BatchFeature:
        rows = range(len(counts)) if rows is None else rows
        content = [{"type": "image"}] if with_image else []
        texts, images, memories = [], [], []
        for row in rows:
            question = {"type": "text", "text": QUESTIONS[row % len(QUESTIONS)]}
            message = {"role": "user", "content": [*content, question]}
            texts.append(tiny_processor.apply_chat_template([message], add_generation_prompt=True) + answer)
            images.append([make_image(row, (56 + 28 * row, 56))])
            memories.append(None if counts[row] is None else make_items(counts[row], seed=100 * (row + 1)))
        return tiny_processor(
            text=texts,
            images=images if with_image else None,
            memories=None if memories[0] is None else memories,
            return_tensors="pt",
            padding=True,
            **kwargs,
        )

    return make


@torch.no_grad()
def logits(model, inputs) -> torch.Tensor:
    return model(**inputs).logits


@torch.no_grad()
def vectors(model, inputs) -> torch.Tensor:
    return model.encode_memory(inputs["memory_inputs"])
