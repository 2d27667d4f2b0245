"""Scores of different ways to give knowledge to a model, on the same questions."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from tqdm import tqdm

from comem_hf.answering import count_positions, generate_answers, question_inputs
from comem_hf.bank import MemoryBank, MemoryHit

from .disturbances import DISTURBANCES
from .questions import Question, exact_match


WAYS = ("no memory", "RAG, true item", "RAG, top-k", "memory, true item", "memory, top-k")


@dataclass(frozen=True)
class Score:
    """The score of one way.

    Args:
        way (`str`): One of [`WAYS`].
        exact_match (`float`): Share of questions answered exactly, after lower-casing and stripping.
        positions (`float`): Mean number of positions before the answer, including memory vectors and image tokens.
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
    """Answer the same questions in each way, greedily, and score the answers.

    The picture of a question is the item's own, disturbed (rescaled, compressed or cropped in turn), so that a top-k
    search never sees a stored picture.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): A bank of this model, attached to it.
        questions (`Sequence[Question]`): Questions about items of the bank.
        top_k (`int`, *optional*, defaults to `3`): Items that the top-k ways retrieve.
        batch_size (`int`, *optional*, defaults to `16`): Questions answered at a time.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
        ways (`Sequence[str]`, *optional*, defaults to [`WAYS`]): The ways to score.

    Returns:
        `list[Score]`: The scores, in the order of `ways`.

    Raises:
        ValueError: If a way is unknown.
    """
    for way in ways:
        if way not in WAYS:
            raise ValueError(f"`ways` must be among {WAYS}, got {way!r}.")
    pictures = question_pictures(bank, questions)
    hits = []
    for start in range(0, len(pictures), batch_size):
        hits += bank.search(image=pictures[start : start + batch_size], k=top_k)
    scores = []
    for way in ways:
        answers, positions = [], 0
        for start in tqdm(range(0, len(questions), batch_size), desc=way, leave=False):
            part = slice(start, start + batch_size)
            inputs = _inputs(way, processor, bank, questions[part], pictures[part], hits[part])
            answers += generate_answers(model, processor, inputs, max_new_tokens)
            positions += count_positions(inputs)
        right = sum(exact_match(answer, question.answer) for answer, question in zip(answers, questions, strict=True))
        scores.append(Score(way, right / len(questions), positions / len(questions), tuple(answers)))
    return scores


def question_pictures(bank: MemoryBank, questions: Sequence[Question]) -> list[Image.Image]:
    """Return the picture of each question: the item's own, disturbed (rescaled, compressed or cropped in turn).

    Args:
        bank (`MemoryBank`): The bank that holds the items.
        questions (`Sequence[Question]`): Questions about its items.
    """
    # Questions come in rounds, all kinds for each item: without the second term, a kind would get one disturbance.
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
    items = memory = None
    if way == "RAG, true item":
        items = [[bank[question.item_id]] for question in questions]
    elif way == "RAG, top-k":
        items = [[hit.item for hit in found] for found in hits]
    elif way == "memory, true item":
        memory = bank.memory_inputs([[question.item_id] for question in questions])
    elif way == "memory, top-k":
        memory = bank.memory_inputs(hits)
    return question_inputs(processor, [question.question for question in questions], pictures, items, memory)
