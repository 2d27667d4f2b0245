"""Exact match on the held-out questions, by memory and by the items in the prompt, in the same orders."""

import time
from collections.abc import Callable, Sequence

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.answering import generate_answers, question_inputs
from comem_hf.evaluation import exact_match
from comem_hf.modeling.memory_inputs import MemoryInputs

from .material import COUNTS, HeldOut


BATCH_SIZE = 16


class Asked:
    """A model and the held-out questions.

    Args:
        model (`PreTrainedModel`): The model, in evaluation mode.
        processor ([`CoMemProcessor`]): Its processor.
        held_out ([`HeldOut`]): The questions.
    """

    def __init__(self, model: PreTrainedModel, processor: CoMemProcessor, held_out: HeldOut):
        self.model, self.processor, self.held_out = model, processor, held_out

    def by_memory(self, lengths: Sequence[int] = ()) -> dict[str, float]:
        """Ask with the items' vectors, each encoded once, with all of them and with fewer.

        Args:
            lengths (`Sequence[int]`, *optional*): Numbers of vectors per item.

        Returns:
            `dict[str, float]`: Exact match by the number of items, and by `"items/vectors"` for fewer vectors.
        """
        vectors = self._encode()
        scores = {}
        for length in (None, *lengths):
            for count in COUNTS:
                name = str(count) if length is None else f"{count}/{length}"
                scores[name] = self._ask(
                    count, lambda ids, length=length: {"memory_inputs": self._stored(vectors, ids, length)}, name
                )
        return scores

    def by_prompt(self) -> dict[str, float]:
        """Ask with the items' texts and pictures in the prompt; return exact match by the number of items."""
        bank = self.held_out.bank
        return {
            str(count): self._ask(
                count, lambda ids: {"items": [[bank[item_id] for item_id in row] for row in ids]}, f"RAG of {count}"
            )
            for count in COUNTS
        }

    def without_items(self) -> float:
        """Ask with nothing but the picture; return exact match."""
        return self._ask(1, lambda ids: {}, "no items")

    @torch.inference_mode()
    def _encode(self) -> dict[str, torch.Tensor]:
        """Return the vectors `(memory tokens, hidden)` of all items that any question is asked with, by id."""
        orders = self.held_out.orders.values()
        ids = sorted({item_id for order in orders for row in order for item_id in row})
        vectors = {}
        for start in range(0, len(ids), BATCH_SIZE):
            part = ids[start : start + BATCH_SIZE]
            items = self.processor.process_memories([[self.held_out.bank[item_id] for item_id in part]])
            vectors |= zip(part, self.model.encode_memory(items), strict=True)
        return vectors

    def _stored(self, vectors: dict[str, torch.Tensor], ids: list[list[str]], length: int | None) -> MemoryInputs:
        embeds = torch.stack([torch.stack([vectors[item_id][:length] for item_id in row]) for row in ids])
        return MemoryInputs({"memory_embeds": embeds})

    def _ask(self, count: int, memory: Callable[[list[list[str]]], dict], name: str) -> float:
        questions, answers = self.held_out.questions, []
        for start in tqdm(range(0, len(questions), BATCH_SIZE), desc=name, leave=False):
            part = slice(start, start + BATCH_SIZE)
            asked = [question.question for question in questions[part]]
            ids = self.held_out.orders[str(count)][part]
            inputs = question_inputs(self.processor, asked, self.held_out.pictures[part], **memory(ids))
            answers += generate_answers(self.model, self.processor, inputs)
        pairs = zip(answers, questions, strict=True)
        return sum(exact_match(answer, question.answer) for answer, question in pairs) / len(questions)


def ask_trained(folder, lengths: Sequence[int], held_out: HeldOut) -> dict:
    """Return exact match of a trained model by the number of items, and the seconds that the questions took."""
    model = CoMemForConditionalGeneration.from_pretrained(folder).eval()
    start = time.perf_counter()
    scores = Asked(model, CoMemProcessor.from_pretrained(folder), held_out).by_memory(lengths)
    return {"exact_match": scores, "asking_seconds": time.perf_counter() - start}
