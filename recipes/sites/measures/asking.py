"""The held-out questions, asked of a way with the true item and without any; and the positions that this takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from tqdm import tqdm
from transformers import PreTrainedModel

from comem_hf import CoMemProcessor, MemoryBank
from comem_hf.answering import generate_answers, question_inputs
from comem_hf.default import default_path
from comem_hf.evaluation import Question, exact_match, load_questions, question_pictures
from comem_hf.modeling.cache_name_comem import CACHE_NAME
from comem_hf.modeling.memory_inputs import MemoryInputs
from recipes.sites.ways import Way


BATCH_SIZE = 16


@dataclass
class HeldOut:
    """The embedded default's held-out questions, their items and their disturbed pictures."""

    bank: MemoryBank = field(default_factory=lambda: MemoryBank.from_pretrained(default_path("bank")))
    questions: list[Question] = field(default_factory=lambda: load_questions(default_path("questions.jsonl")))
    pictures: list[Image.Image] = field(init=False)

    def __post_init__(self):
        self.pictures = question_pictures(self.bank, self.questions)

    def __len__(self) -> int:
        return len(self.questions)


@dataclass
class AskedWay:
    """A way with its model, ready to be asked."""

    way: Way
    model: PreTrainedModel
    processor: CoMemProcessor

    @torch.inference_mode()
    def inputs(self, held_out: HeldOut, part: Sequence[int], with_item: bool):
        """Make the inputs of `generate` for some of the questions; items are encoded here already.

        Args:
            held_out (`HeldOut`): The questions.
            part (`Sequence[int]`): Numbers of the questions of a batch.
            with_item (`bool`): Whether the model gets the item that holds the answer.
        """
        questions = [held_out.questions[number] for number in part]
        items = [[held_out.bank[question.item_id]] for question in questions] if with_item else None
        memory = None
        if items is not None and self.way.items == "vectors":
            vectors = self.model.encode_memory(self.processor.process_memories(items))
            memory = MemoryInputs({"memory_embeds": vectors[:, None]})
        return question_inputs(
            self.processor,
            [question.question for question in questions],
            [held_out.pictures[number] for number in part],
            items if self.way.items == "pasted" else None,
            memory,
        )

    def exact_match(self, held_out: HeldOut, with_item: bool) -> tuple[float, list[str]]:
        """Answer all questions greedily; return the share of exact answers, and the answers."""
        answers = []
        for start in tqdm(range(0, len(held_out), BATCH_SIZE), desc=self.way.name, leave=False):
            part = range(start, min(start + BATCH_SIZE, len(held_out)))
            answers += generate_answers(self.model, self.processor, self.inputs(held_out, part, with_item))
        pairs = zip(answers, held_out.questions, strict=True)
        return sum(exact_match(answer, question.answer) for answer, question in pairs) / len(answers), answers

    @torch.inference_mode()
    def prefill(self, inputs):
        """Run the model over the inputs of one question, as `generate` does before the first token."""
        return self.model(**inputs, use_cache=True, logits_to_keep=1)

    def added_positions(self, held_out: HeldOut) -> float:
        """Count, with the true item, the positions in the reader's cache before the answer; on average over questions.

        Counted are those beyond the positions of the bare question with its picture in the prompt ("no memory").
        """
        added = 0
        for number in range(len(held_out)):
            bare = question_inputs(self.processor, [held_out.questions[number].question], [held_out.pictures[number]])
            inputs = self.inputs(held_out, [number], with_item=True)
            cache = getattr(self.prefill(inputs), CACHE_NAME)
            added += cache.get_seq_length() - bare["input_ids"].shape[1]
        return added / len(held_out)


def ask(asked: AskedWay, held_out: HeldOut) -> dict:
    """Score a way: exact match with the true item and without any item, and added positions."""
    with_item, answers = asked.exact_match(held_out, with_item=asked.way.items != "none")
    without_item, answers_without = asked.exact_match(held_out, with_item=False)
    return {
        "exact_match": with_item,
        "exact_match_without_item": without_item,
        "added_positions": asked.added_positions(held_out),
        "answers": answers,
        "answers_without_item": answers_without,
    }
