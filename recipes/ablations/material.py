"""Backbone, pictures, training rows, and the order of items for each question."""

import json
import random
from dataclasses import asdict, replace

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.default import default_path
from comem_hf.evaluation import Question, load_questions, question_pictures
from comem_hf.files.whole_file import write_durably
from recipes.atlas_small.data.countries.countries import load_countries, split_countries
from recipes.atlas_small.data.countries.flags import flag_drawings
from recipes.atlas_small.data.countries.invention import Inventor
from recipes.atlas_small.data.countries.sources import fetch_flags
from recipes.atlas_small.data.samples.memory_data import write_rows
from recipes.atlas_small.data.samples.pictures import load_motifs, make_pictures
from recipes.atlas_small.data.samples.recall import Course, Recall, RecallMaker
from recipes.atlas_small.learning.facts import Told, told_items
from recipes.sites.material import SPLIT_SEED, write_backbone

from .run import Run


COURSES = (  # shares of the steps, and what their samples are: one picture each
    (0.2, Course(items=(1, 2, 3), facts=(1, 2), turns=2, follow=1.0)),
    (0.8, Course(items=(2, 3), facts=(3, 6, 6), turns=6, follow=1.0, look=0.03)),
)
DATA_SEED = 1  # all trainings see the same rows
ORDER_SEED = 0
COUNTS = (1, 3, 10)


def write_material(run: Run) -> None:
    """Write what is not there yet: the backbone, unless one is given, the pictures and the training rows."""
    if run.given_backbone is None:
        write_backbone(run)
    if run.rows.is_file() and run.told.is_file():
        return
    flags = fetch_flags(run.work)
    train, held_out = split_countries(load_countries(flags), flags, SPLIT_SEED)
    make_pictures(run.pictures, [flag_drawings(train, flags)], SPLIT_SEED)
    samples = run.steps * run.batch_size
    courses = [replace(course, samples=round(share * samples)) for share, course in COURSES]
    inventor, motifs = Inventor(train, held_out), load_motifs(run.pictures)
    recall = RecallMaker([inventor], motifs, courses, seed=DATA_SEED)

    def maker(index: int) -> Recall:
        sample = recall(index)
        sample.items.insert(0, sample.items.pop(sample.place))  # rows list the true item first; training shuffles them
        return sample

    told = [asdict(item) for item in told_items([inventor], motifs, run.pictures, DATA_SEED)]
    write_durably(run.told, lambda path: path.write_text(json.dumps(told), encoding="utf-8"))
    write_rows(run.rows, maker, samples, run.pictures.name)


def read_told(run: Run) -> list[Told]:
    """Read the items whose facts the resamplers' queries look for at the start."""
    return [Told(**item) for item in json.loads(run.told.read_text(encoding="utf-8"))]


class HeldOut:
    """The embedded default's questions about countries that no training has seen, and the items for each.

    Args:
        run ([`Run`]): The comparison, whose file of orders is written if it is not there.
    """

    def __init__(self, run: Run):
        self.bank = MemoryBank.from_pretrained(default_path("bank"))
        self.questions: list[Question] = load_questions(default_path("questions.jsonl"))[: run.num_questions]
        self.pictures = question_pictures(self.bank, self.questions)
        if not run.orders.is_file():
            text = json.dumps(self._draw_orders()) + "\n"
            write_durably(run.orders, lambda path: path.write_text(text, encoding="utf-8"))
        self.orders: dict[str, list[list[str]]] = json.loads(run.orders.read_text(encoding="utf-8"))

    def _draw_orders(self) -> dict[str, list[list[str]]]:
        """Return, by the number of items, the ids for each question: the true one at a random place among the nearest.

        The others are those that a search with the question's picture finds.
        """
        model = CoMemForConditionalGeneration.from_pretrained(default_path("model"))
        self.bank.attach(model, CoMemProcessor.from_pretrained(default_path("model")))
        found = self.bank.search(image=self.pictures, k=max(COUNTS), probabilities=False)
        orders = {}
        for count in COUNTS:
            orders[str(count)] = []
            for number, (question, hits) in enumerate(zip(self.questions, found, strict=True)):
                others = [hit.item.id for hit in hits if hit.item.id != question.item_id][: count - 1]
                ids = [question.item_id, *others]
                random.Random(f"{ORDER_SEED}/{count}/{number}").shuffle(ids)
                orders[str(count)].append(ids)
        return orders
