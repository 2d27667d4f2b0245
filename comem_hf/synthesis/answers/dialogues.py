"""Self-study: dialogues about an item in which the model asks itself, and answers with the item in its prompt.

The idea, and that kinds of seed prompts make such data diverse, is that of Cartridges (Eyuboglu et al., 2025,
arXiv:2506.06266), which studies a long text in chunks; here a chunk is an item. What the model answers is learned by
the memory encoder from the item's vectors alone. The prompts are ours.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from comem_hf.bank import MemoryBank
from comem_hf.evaluation.asking.prediction import Prediction
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.synthesis.questions.candidate import Candidate
from comem_hf.synthesis.questions.draw import draw
from comem_hf.synthesis.questions.item_picture import item_picture
from comem_hf.synthesis.settings.source import SourceSettings


@dataclass(frozen=True)
class Seed:
    """A kind of dialogue.

    Args:
        prompts (`tuple[str, ...]`): What starts it, one of which is drawn.
        is_question (`bool`): Whether a prompt is the user's message itself; otherwise the model writes that, because
            the prompt asks it to.
    """

    prompts: tuple[str, ...]
    is_question: bool


SEEDS: dict[str, Seed] = {
    "facts": Seed(
        (
            "Write one short question about a fact in the text above. Write the question alone.",
            "Which detail of the text above would a reader ask for? Write that question, and nothing else.",
            "Write a question that somebody who has only the picture cannot answer, but the text can.",
        ),
        is_question=False,
    ),
    "summary": Seed(
        (
            "Say in one sentence what is known about this picture.",
            "What matters most about what this picture shows?",
            "Give a short summary of what is known about this.",
        ),
        is_question=True,
    ),
    "repetition": Seed(
        (
            "Write down all that is known about this picture.",
            "Repeat the text that belongs to this picture, word by word.",
            "Tell me everything that you know about this.",
        ),
        is_question=True,
    ),
    "comparison": Seed(
        (
            "Write one question that compares what the text above describes with something similar.",
            "Write a question about what sets this apart from others of its kind. Write the question alone.",
        ),
        is_question=False,
    ),
}


def dialogue_candidates(source: SourceSettings, bank: MemoryBank, seed: int) -> tuple[list[Candidate], int]:
    """Return the beginnings of dialogues about items with pictures.

    Args:
        source ([`SourceSettings`]): A source with `dialogues`; its `candidates` are items.
        bank (`MemoryBank`): The bank.
        seed (`int`): Seed of the kinds and prompts.

    Returns:
        `tuple`: Candidates, whose question is a prompt of [`SEEDS`] of the question's `kind`, and the number of
        dialogues that are left out because their item has no picture.
    """
    candidates, without = [], 0
    drawn = draw(bank.ids, source.candidates, seed, source.name, str)
    for place, item_id in enumerate(drawn):
        rng = random.Random(f"{seed} {source.name} {item_id}")
        kinds = rng.sample(source.kinds, len(source.kinds))
        for number in range(source.dialogues):
            kind = kinds[number % len(kinds)]
            picture = item_picture(bank, item_id, place + number)
            if picture is None:
                without += 1
                continue
            question = BenchmarkQuestion(
                id=f"{source.name}/{item_id}/{number}",
                question=rng.choice(SEEDS[kind].prompts),
                picture=picture,
                reference=None,
                kind=kind,
            )
            candidates.append(Candidate(question, source.name, item_id, "dialogue", item_id))
    return candidates, without


def to_be_written(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those candidates whose question the model has to write."""
    return [candidate for candidate in candidates if not SEEDS[candidate.question.kind].is_question]


def with_questions(candidates: Sequence[Candidate], written: dict[str, Prediction]) -> list[Candidate]:
    """Return candidates with the questions that the model wrote; those for which it wrote nothing are left out.

    Args:
        candidates (`Sequence[Candidate]`): Candidates of [`dialogue_candidates`].
        written (`dict[str, Prediction]`): What the model wrote, by the ids of candidates.
    """
    asked = []
    for candidate in candidates:
        if candidate.id in written:
            text = written[candidate.id].prediction.strip()
            if not text:
                continue
            candidate = replace(candidate, question=replace(candidate.question, question=text))
        asked.append(candidate)
    return asked
