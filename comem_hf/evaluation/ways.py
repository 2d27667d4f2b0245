"""Scores of different ways to give knowledge to a model, on the same questions."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from tqdm import tqdm

from comem_hf.answering import count_positions, exact_match, generate_answers, question_inputs
from comem_hf.bank import MemoryBank, MemoryHit
from comem_hf.bank.scores.disturbances import DISTURBANCES
from comem_hf.modeling.top_k_comem import check_top_k, default_top_k

from .questions import Question


WAYS_WITHOUT_SEARCH = ("no memory", "RAG, true item")
WAYS_WITHOUT_ITEMS = (*WAYS_WITHOUT_SEARCH, "RAG, top-k")
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
    top_k: int | None = None,
    batch_size: int = 16,
    max_new_tokens: int = 32,
    ways: Sequence[str] | None = None,
) -> list[Score]:
    """Answer the same questions in each way, greedily, and score the answers.

    The picture of a question is the item's own, disturbed (rescaled, compressed or cropped in turn), so that a top-k
    search never sees a stored picture.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): A bank of this model, attached to it; for a model without a memory encoder any bank, whose
            items are used alone.
        questions (`Sequence[Question]`): Questions about items of the bank.
        top_k (`int`, *optional*): Items that the top-k ways retrieve; defaults to 3, or to what the model has
            slots for.
        batch_size (`int`, *optional*, defaults to `16`): Questions answered at a time.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
        ways (`Sequence[str]`, *optional*): The ways to score; by default those of [`WAYS`] that model and bank allow
            (see [`ways_of`]).

    Returns:
        `list[Score]`: The scores, in the order of `ways`.

    Raises:
        ValueError: If a way is unknown, model and bank do not allow it, or the model has no slots for so many items.
    """
    possible = ways_of(model, bank)
    ways = possible if ways is None else ways
    for way in ways:
        if way not in possible:
            raise ValueError(f"`ways` must be among {possible} with this model and bank, got {way!r}.")
    top_k = default_top_k(model.config) if top_k is None else top_k
    if "memory, top-k" in ways:
        check_top_k(top_k, model.config)
    pictures = question_pictures(bank, questions)
    hits = [[] for _ in pictures]
    if any(way.endswith("top-k") for way in ways):
        for start in range(0, len(pictures), batch_size):
            part = slice(start, start + batch_size)
            hits[part] = bank.search(image=pictures[part], k=top_k, probabilities=False)
    scores = []
    for way in ways:
        answers, positions = [], 0
        with tqdm(range(0, len(questions), batch_size), desc=way, leave=False) as starts:  # an error ends the bar
            for start in starts:
                part = slice(start, start + batch_size)
                inputs = _inputs(way, processor, bank, questions[part], pictures[part], hits[part])
                answers += generate_answers(model, processor, inputs, max_new_tokens)
                positions += count_positions(inputs, model.config)
        right = sum(exact_match(answer, question.answer) for answer, question in zip(answers, questions, strict=True))
        scores.append(Score(way, right / len(questions), positions / len(questions), tuple(answers)))
    return scores


def ways_of(model, bank: MemoryBank) -> tuple[str, ...]:
    """Return the ways of [`WAYS`] by which a model can be given knowledge from a bank.

    A model without a memory encoder takes items in its prompt alone, and finds them if another model embeds them.
    """
    if model.config.num_memory_tokens:
        return WAYS
    return WAYS_WITHOUT_SEARCH if needs_own_model(bank) else WAYS_WITHOUT_ITEMS


def needs_own_model(bank: MemoryBank) -> bool:
    """Whether only the model that made a bank can search it."""
    return bank.config.embedder["type"] == "backbone"


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
