"""The ways a model can be given knowledge, scored on the same questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from tqdm import tqdm

from ..bank import MemoryBank, MemoryHit
from ..modeling.memory_item import MemoryItem
from .disturbances import DISTURBANCES
from .questions import Question, exact_match


WAYS = ("no memory", "RAG, true item", "RAG, top-k", "memory, true item", "memory, top-k")


@dataclass(frozen=True)
class Score:
    """How one way fared.

    Args:
        way (`str`): One of [`WAYS`].
        exact_match (`float`): Share of questions answered exactly, after lower-casing and stripping.
        positions (`float`): Mean number of positions in front of the answer, memory vectors and image tokens included.
        answers (`tuple[str, ...]`): The answers, in the order of the questions.
    """

    way: str
    exact_match: float
    positions: float
    answers: tuple[str, ...]


def evaluate(
    model,
    processor,
    bank: MemoryBank,
    questions: Sequence[Question],
    *,
    top_k: int = 3,
    batch_size: int = 16,
    max_new_tokens: int = 32,
    ways: Sequence[str] = WAYS,
) -> list[Score]:
    """Answer the same questions in each way, greedily.

    The picture of a question is the item's own, disturbed (rescaled, compressed or cropped in turn), so that a top-k
    search never sees a stored picture.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): A bank of this model, with `attach` done.
        questions (`Sequence[Question]`): Questions about items of the bank.
        top_k (`int`, defaults to 3): Items that the top-k ways retrieve.
        batch_size (`int`, defaults to 16): Questions answered at a time.
        max_new_tokens (`int`, defaults to 32): Longest answer.
        ways (`Sequence[str]`): Which of [`WAYS`] to score.

    Returns:
        `list[Score]`, in the order of `ways`.

    Raises:
        ValueError: If a way is unknown.
    """
    for way in ways:
        if way not in WAYS:
            raise ValueError(f"`ways` must be among {WAYS}, got {way!r}.")
    pictures = _pictures(bank, questions)
    hits = []
    for start in range(0, len(pictures), batch_size):
        hits += bank.search(image=pictures[start : start + batch_size], k=top_k)
    scores = []
    for way in ways:
        answers, positions = [], 0
        for start in tqdm(range(0, len(questions), batch_size), desc=way, leave=False):
            part = slice(start, start + batch_size)
            inputs = _inputs(way, processor, bank, questions[part], pictures[part], hits[part])
            answers += _answer(model, processor, inputs, max_new_tokens)
            positions += _count_positions(inputs)
        right = sum(exact_match(answer, question.answer) for answer, question in zip(answers, questions, strict=True))
        scores.append(Score(way, right / len(questions), positions / len(questions), tuple(answers)))
    return scores


def _pictures(bank: MemoryBank, questions: Sequence[Question]) -> list[Image.Image]:
    # The second term keeps questions that come in rounds (all kinds for each item) from meeting one disturbance only.
    disturbances = list(DISTURBANCES.values())
    return [
        disturbances[(number + number // len(disturbances)) % len(disturbances)](bank[question.item_id].load_image())
        for number, question in enumerate(questions)
    ]


def _inputs(
    way: str,
    processor,
    bank: MemoryBank,
    questions: Sequence[Question],
    pictures: list[Image.Image],
    hits: list[list[MemoryHit]],
):
    if way == "RAG, true item":
        in_prompt = [[bank[question.item_id]] for question in questions]
    elif way == "RAG, top-k":
        in_prompt = [[hit.item for hit in found] for found in hits]
    else:
        in_prompt = [[] for _ in questions]
    images = [
        image for items, picture in zip(in_prompt, pictures, strict=True) for image in (*_images(items), picture)
    ]
    prompts = [
        processor.apply_chat_template(_messages(items, question.question), add_generation_prompt=True)
        for items, question in zip(in_prompt, questions, strict=True)
    ]
    inputs = processor(text=prompts, images=images, padding=True, return_tensors="pt")
    if way == "memory, true item":
        inputs["memory_inputs"] = bank.memory_inputs([[question.item_id] for question in questions])
    elif way == "memory, top-k":
        inputs["memory_inputs"] = bank.memory_inputs(hits)
    return inputs


def _messages(items: list[MemoryItem], question: str) -> list[dict]:
    """A user turn per item, its picture first, then the question's turn."""
    turns = [
        ([{"type": "image"}] if item.image is not None else []) + [{"type": "text", "text": item.text or ""}]
        for item in items
    ]
    turns.append([{"type": "image"}, {"type": "text", "text": question}])
    return [{"role": "user", "content": content} for content in turns]


def _images(items: list[MemoryItem]) -> list[Image.Image]:
    return [item.load_image() for item in items if item.image is not None]


def _count_positions(inputs) -> int:
    positions = int(inputs["attention_mask"].sum())
    memory = inputs.get("memory_inputs")
    if memory is not None:
        positions += int(memory["item_mask"].sum()) * memory["memory_embeds"].shape[2]
    return positions


@torch.inference_mode()
def _answer(model, processor, inputs, max_new_tokens: int) -> list[str]:
    inputs = inputs.to(model.device)
    output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
