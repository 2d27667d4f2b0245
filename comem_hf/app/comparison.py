"""One question answered without and with memory, and the cost of each answer."""

import time
from dataclasses import dataclass

from PIL import Image

from comem_hf.answering import (
    NOTHING_FOUND,
    WITHOUT_BANK,
    WITHOUT_WORDS,
    count_positions,
    generate_sequences,
    question_inputs,
    read_answers,
)
from comem_hf.bank import MemoryBank, MemoryHit
from comem_hf.modeling.explanation_comem import item_influences, shares_of
from comem_hf.modeling.top_k_comem import default_top_k


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
        with_memory (`Answer` or `None`): The answer with the memory of the hits; `None` if the bank could not be
            searched, because there is no picture, or nothing was found.
        hits (`list[MemoryHit]`): The retrieved items, best first.
        pasted_positions (`int`): Positions with the text and picture of the same items in the prompt; counted, not
            run.
        why_alone (`str`): Why there is no answer with memory.
        shares (`list[float]` or `None`): Each item's share in the answer with memory, by leaving it out (see
            [`shares_of`]); `None` if that was not computed.
    """

    question: str
    without: Answer
    with_memory: Answer | None
    hits: list[MemoryHit]
    pasted_positions: int
    why_alone: str = WITHOUT_BANK
    shares: list[float] | None = None


class Comparer:
    """Answers questions, with or without a picture, without and with memory.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        bank (`MemoryBank`): A bank of this model, attached to it.
        top_k (`int`, *optional*): Number of items to retrieve; defaults to 3, or to what the model has slots for.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
        explain (`bool`, *optional*, defaults to `True`): Whether to compute the items' shares in the answer, which
            takes another forward pass, of a row for each item and one more.
    """

    def __init__(
        self,
        model,
        processor,
        bank: MemoryBank,
        top_k: int | None = None,
        max_new_tokens: int = 32,
        explain: bool = True,
    ):
        self.model = model
        self.processor = processor
        self.bank = bank
        self.top_k = default_top_k(model.config) if top_k is None else top_k
        self.max_new_tokens = max_new_tokens
        self.explain = explain

    def compare(self, picture: Image.Image | None, question: str, min_score: float | None = None) -> Comparison:
        """Answer a question without and with memory; without a picture, the bank is searched by text if it can be.

        Args:
            picture (`PIL.Image.Image`, *optional*): The picture.
            question (`str`): The question.
            min_score (`float`, *optional*): Least probability of items; used only where a picture is searched for.
        """
        without, *_ = self._answer(picture, question, time.perf_counter())
        if picture is None and not self.bank.searches_text:
            return Comparison(question, without, None, [], without.positions)
        start = time.perf_counter()
        query = {"text": question} if picture is None else {"image": picture}
        if picture is not None and min_score is not None:
            query["min_score"] = min_score
        hits = self.bank.search(**query, k=self.top_k)
        if "min_score" in query and not hits:
            return Comparison(question, without, None, [], without.positions, NOTHING_FOUND.format(min_score))
        if picture is None and not hits:
            return Comparison(question, without, None, [], without.positions, WITHOUT_WORDS)
        with_memory, inputs, sequences = self._answer(picture, question, start, self.bank.memory_inputs([hits]))
        shares = None
        if self.explain:
            shares = shares_of(item_influences(self.model, inputs, sequences)[0]).tolist()
        pasted = question_inputs(self.processor, [question], [picture], [[hit.item for hit in hits]])
        positions = count_positions(pasted, self.model.config)
        return Comparison(question, without, with_memory, hits, positions, shares=shares)

    def _answer(self, picture: Image.Image | None, question: str, start: float, memory_inputs=None):
        """Return the answer, the inputs and what `generate` returned for them."""
        inputs = question_inputs(self.processor, [question], [picture], memory_inputs=memory_inputs)
        positions = count_positions(inputs, self.model.config)
        sequences = generate_sequences(self.model, inputs, self.max_new_tokens)
        [text] = read_answers(self.processor, inputs, sequences)
        return Answer(text, positions, time.perf_counter() - start), inputs, sequences
