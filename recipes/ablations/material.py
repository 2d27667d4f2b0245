"""Backbone, pictures, training rows, and the order of items for each question."""

import json
import random

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
from recipes.atlas_small.data.samples.samples import SampleMaker
from recipes.sites.material import SPLIT_SEED, write_backbone

from .run import Run


ONE_FACT_STEPS = 100  # at most, and a third of all: the first rows have single items of one fact
DATA_SEED = 1  # all trainings see the same rows
ORDER_SEED = 0
COUNTS = (1, 3, 10)


def write_material(run: Run) -> None:
    """Write what is not there yet: the backbone, unless one is given, the pictures and the training rows."""
    if run.given_backbone is None:
        write_backbone(run)
    if run.rows.is_file():
        return
    flags = fetch_flags(run.work)
    train, held_out = split_countries(load_countries(flags), flags, SPLIT_SEED)
    make_pictures(run.pictures, [flag_drawings(train, flags)], SPLIT_SEED)
    easy = min(ONE_FACT_STEPS, run.steps // 3) * run.batch_size
    maker = SampleMaker(
        Inventor(train, held_out),
        load_motifs(run.pictures),
        several=1.0,
        single_until=easy,
        one_fact_until=easy,
        partial=0.2,
        look=0.03,
        repeat=0.1,
        seed=DATA_SEED,
    )
    write_rows(run.rows, maker, run.steps * run.batch_size, run.pictures.name)


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
