"""Exact match by the place of the true item: `python -m recipes.atlas_small.places`.

Each question about a held-out country or emoji is asked with 1, 3 and 10 items, the true one at a random place, the
others drawn at random or taken from a search by the question's picture (look-alikes). Both ways of showing the items,
in the prompt (RAG) and as memory, get the same items in the same order.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm
from transformers import AutoProcessor

from comem_hf import CoMemForConditionalGeneration, MemoryBank
from comem_hf.answering import generate_answers, question_inputs
from comem_hf.default import default_path
from comem_hf.evaluation import Question, exact_match, load_questions, question_pictures


COUNTS = (1, 3, 10)
WAYS = ("RAG", "memory")
OTHERS = ("random", "look-alikes")


@dataclass(frozen=True)
class PlaceScore:
    """The score of one way with one number of items.

    Args:
        way (`str`): One of `WAYS`.
        others (`str`): One of `OTHERS`: what the other items are.
        count (`int`): Number of items.
        exact_match (`float`): Share of questions answered exactly.
        by_place (`dict[int, float]`): The same by the place of the true item, from 1.
        told_other (`float`): Share of questions answered with the same fact of another item.
    """

    way: str
    others: str
    count: int
    exact_match: float
    by_place: dict[int, float]
    told_other: float


def draw_items(
    bank: MemoryBank, questions: Sequence[Question], pictures: Sequence, count: int, others: str, seed: int = 0
) -> list[tuple[int, list[str]]]:
    """Draw the items of each question: the place of the true one, from 0, and the ids in order.

    Random others are items that questions are about, of the same topic, so that all are held out and any could be the
    answer; look-alikes are what a search finds.
    """
    rng = random.Random(f"{seed}/{others}/{count}")
    asked = sorted({question.item_id for question in questions})
    topic = {item_id: bank[item_id].metadata.get("topic") for item_id in asked}
    found = bank.search(image=list(pictures), k=count, probabilities=False) if others == "look-alikes" else None
    drawn = []
    for number, question in enumerate(questions):
        alike = [item_id for item_id in asked if topic[item_id] == topic[question.item_id]]
        pool = alike if found is None else [hit.item.id for hit in found[number]]
        pool = [item_id for item_id in pool if item_id != question.item_id]
        ids = rng.sample(pool, len(pool)) if found is None else pool
        ids = ids[: count - 1]
        rng.shuffle(ids)
        place = rng.randrange(count)
        drawn.append((place, [*ids[:place], question.item_id, *ids[place:]]))
    return drawn


def score_places(
    model,
    processor,
    bank: MemoryBank,
    questions: Sequence[Question],
    *,
    counts: Sequence[int] = COUNTS,
    ways: Sequence[str] = WAYS,
    kinds: Sequence[str] = OTHERS,
    batch_size: int = 16,
    seed: int = 0,
) -> list[PlaceScore]:
    """Ask the questions in each way, with each number and kind of items.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): A bank of this model, attached to it.
        questions (`Sequence[Question]`): Questions about items of the bank.
        counts (`Sequence[int]`, *optional*, defaults to `(1, 3, 10)`): Numbers of items.
        ways (`Sequence[str]`, *optional*): Among `WAYS`; by default both.
        kinds (`Sequence[str]`, *optional*): Among `OTHERS`; by default both.
        batch_size (`int`, *optional*, defaults to `16`): Questions answered at a time.
        seed (`int`, *optional*, defaults to `0`): Seed of the items and their order.
    """
    pictures = question_pictures(bank, questions)
    facts = {(question.item_id, question.kind): question.answer for question in questions}
    scores = []
    for count in counts:
        for others in kinds if count > 1 else kinds[:1]:
            drawn = draw_items(bank, questions, pictures, count, others, seed)
            for way in ways:
                answers = []
                for start in tqdm(range(0, len(questions), batch_size), desc=f"{way}, {count} {others}", leave=False):
                    part = slice(start, start + batch_size)
                    ids = [chosen for _, chosen in drawn[part]]
                    items = [[bank[item_id] for item_id in row] for row in ids] if way == "RAG" else None
                    memory = bank.memory_inputs(ids) if way == "memory" else None
                    asked = [question.question for question in questions[part]]
                    inputs = question_inputs(processor, asked, pictures[part], items, memory)
                    answers += generate_answers(model, processor, inputs)
                right, told_other = defaultdict(list), 0
                for question, answer, (place, chosen) in zip(questions, answers, drawn, strict=True):
                    is_right = exact_match(answer, question.answer)
                    right[place + 1].append(is_right)
                    wrong = {facts.get((item_id, question.kind)) for item_id in chosen} - {None}
                    told_other += not is_right and any(exact_match(answer, fact) for fact in wrong)
                by_place = {place: sum(rows) / len(rows) for place, rows in sorted(right.items())}
                share = sum(map(sum, right.values())) / len(questions)
                scores.append(PlaceScore(way, others, count, share, by_place, told_other / len(questions)))
    return scores


def as_table(scores: Sequence[PlaceScore]) -> str:
    """Return the scores as a Markdown table."""
    lines = ["| items | others | way | exact match | told another item's fact | by place |", "|" + "---|" * 6]
    for score in scores:
        places = " / ".join(f"{value:.2f}" for value in score.by_place.values())
        others = score.others if score.count > 1 else ""
        shares = f"{score.exact_match:.3f} | {score.told_other:.3f}"
        lines.append(f"| {score.count} | {others} | {score.way} | {shares} | {places} |")
    return "\n".join(lines)


def main() -> None:
    """Measure a model and its bank, by default the embedded ones."""
    parser = argparse.ArgumentParser(prog="python -m recipes.atlas_small.places", description=__doc__)
    folder = Path(default_path("model")).parent
    parser.add_argument("--default", type=Path, default=folder, help="folder of model, bank and questions.jsonl")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--questions", type=int, help="use only so many, evenly chosen")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the scores there")
    arguments = parser.parse_args()
    model = CoMemForConditionalGeneration.from_pretrained(arguments.default / "model").eval()
    processor = AutoProcessor.from_pretrained(arguments.default / "model")
    bank = MemoryBank.from_pretrained(arguments.default / "bank", model=model, processor=processor)
    questions = load_questions(arguments.default / "questions.jsonl")
    if arguments.questions:
        questions = questions[:: max(1, len(questions) // arguments.questions)]
    scores = score_places(
        model, processor, bank, questions, counts=arguments.counts, ways=arguments.ways, seed=arguments.seed
    )
    print(as_table(scores))
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(score) for score in scores], indent=1) + "\n")


if __name__ == "__main__":
    main()
