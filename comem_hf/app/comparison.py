"""One question answered without and with memory, and the cost of each answer."""

import time
from dataclasses import dataclass

from PIL import Image

from comem_hf.answering import count_positions, generate_answers, question_inputs
from comem_hf.bank import MemoryBank, MemoryHit


@dataclass(frozen=True)
class Answer:
    """An answer of the model, and its cost.

    Args:
        text (`str`): The answer.
        positions (`int`): Positions before the answer, including image tokens and memory vectors.
        seconds (`float`): Time from the picture to the answer, including the search if memory is used.
    """

    text: str
    positions: int
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """A question answered without and with memory.

    Args:
        question (`str`): The question.
        without (`Answer`): The answer of the model alone.
        with_memory (`Answer`): The answer with the memory of the hits.
        hits (`list[MemoryHit]`): The retrieved items, best first.
        pasted_positions (`int`): Positions with the text and picture of the same items in the prompt; counted, not
            run.
    """

    question: str
    without: Answer
    with_memory: Answer
    hits: list[MemoryHit]
    pasted_positions: int


class Comparer:
    """Answers questions about pictures without and with memory.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): A bank of this model, attached to it.
        top_k (`int`, *optional*, defaults to `3`): Number of items to retrieve.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
    """

    def __init__(self, model, processor, bank: MemoryBank, top_k: int = 3, max_new_tokens: int = 32):
        self.model = model
        self.processor = processor
        self.bank = bank
        self.top_k = top_k
        self.max_new_tokens = max_new_tokens

    def compare(self, picture: Image.Image, question: str) -> Comparison:
        """Answer a question without and with memory."""
        without = self._answer(picture, question, time.perf_counter())
        start = time.perf_counter()
        hits = self.bank.search(image=picture, k=self.top_k)
        with_memory = self._answer(picture, question, start, self.bank.memory_inputs([hits]))
        pasted = question_inputs(self.processor, [question], [picture], [[hit.item for hit in hits]])
        return Comparison(question, without, with_memory, hits, count_positions(pasted))

    def _answer(self, picture: Image.Image, question: str, start: float, memory_inputs=None) -> Answer:
        inputs = question_inputs(self.processor, [question], [picture], memory_inputs=memory_inputs)
        positions = count_positions(inputs)
        [text] = generate_answers(self.model, self.processor, inputs, self.max_new_tokens)
        return Answer(text, positions, time.perf_counter() - start)
