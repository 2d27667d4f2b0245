"""The questions of a benchmark put to a model in one way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from tqdm import tqdm

from comem_hf.answering import generate_sequences, positions_by_question, question_inputs, read_texts
from comem_hf.evaluation.asking.terms.pictures import question_picture
from comem_hf.evaluation.asking.terms.prompts import prompt_of
from comem_hf.evaluation.asking.terms.protocol import Protocol
from comem_hf.evaluation.benchmarks.question import Benchmark, BenchmarkQuestion
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.query_pictures_comem import position_limit

from .items import ItemSource, shown_items
from .prediction import Prediction
from .predictions_file import PredictionsFile


NOT_RETRIEVED = "No items were retrieved for the question."


@dataclass
class Asked:
    """A question that can be asked, with all that the model is given for it."""

    question: BenchmarkQuestion
    picture: Image.Image
    items: list[MemoryItem]


@dataclass
class Interview:
    """One way to put questions to a model.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        way (`str`): One of [`WAYS`].
        top_k (`int`): Items per question; 0 for `"no memory"`.
        protocol (`Protocol`): The protocol.
        source (`ItemSource`, *optional*): Where the items come from; not needed without any.
        max_new_tokens (`int`, *optional*): Longest answer, in tokens; the protocol's if not given.
        prompt (`Callable`, *optional*): Makes the prompt of a question, with the arguments of [`prompt_of`], which
            gives the published one.
        picture_first (`bool`, *optional*, defaults to `False`): Whether pictures come before texts, of the question
            and of pasted items; see [`item_content`].
        seed (`int`, *optional*, defaults to `0`): Seed of answers that are sampled.
    """

    model: object
    processor: object
    way: str
    top_k: int
    protocol: Protocol
    source: ItemSource | None = None
    max_new_tokens: int | None = None
    prompt: Callable[..., str] = prompt_of
    picture_first: bool = False
    seed: int = 0

    def answer_all(
        self,
        benchmark: Benchmark,
        file: PredictionsFile,
        batch_size: int,
        process: int = 0,
        num_processes: int = 1,
    ) -> None:
        """Answer what a file does not answer yet, batch by batch.

        Batches are the same in each run, whether it was interrupted and however many processes it has, and so are the
        answers: a question is computed with the same neighbours.

        Args:
            benchmark (`Benchmark`): The questions.
            file (`PredictionsFile`): The file that the predictions are written to.
            batch_size (`int`): Questions answered at a time.
            process (`int`, *optional*, defaults to `0`): Number of this process.
            num_processes (`int`, *optional*, defaults to `1`): Processes that share the batches.
        """
        starts = range(process * batch_size, len(benchmark.questions), num_processes * batch_size)
        title = f"{benchmark.name} ({benchmark.language}), {self.way}" + (f" {self.top_k}" if self.top_k else "")
        with tqdm(starts, desc=title, leave=False, disable=process > 0) as batches:  # an error ends the bar
            for start in batches:
                batch = benchmark.questions[start : start + batch_size]
                if any(question.id not in file.found for question in batch):
                    torch.manual_seed((self.seed << 32) + start)  # for a checkpoint that samples
                    file.append(self.answer(batch, benchmark.name))

    @torch.inference_mode()
    def answer(self, questions: Sequence[BenchmarkQuestion], benchmark: str) -> list[Prediction]:
        """Answer questions in one batch; those that cannot be asked get a prediction that says why.

        Args:
            questions (`Sequence[BenchmarkQuestion]`): The questions.
            benchmark (`str`): Name of their benchmark.
        """
        answered: dict[str, Prediction] = {}
        asked = self._open(questions, benchmark, answered)
        if self.way != "no memory" and asked:
            asked = self._find(asked, answered)
        inputs = self._inputs(asked, benchmark) if asked else None
        positions = positions_by_question(inputs, self.model.config) if asked else []
        short = self._short_enough(asked, positions, answered)
        if short and len(short) < len(asked):
            inputs = self._inputs([one for one, _ in short], benchmark)
        if short:
            longest = self.max_new_tokens or self.protocol.max_new_tokens
            sequences = generate_sequences(self.model, inputs, longest, self._generation())
            texts = read_texts(self.processor, inputs, sequences)
            for (one, count), text in zip(short, texts, strict=True):
                answered[one.question.id] = Prediction(one.question.id, text, _ids(one.items), count)
        return [answered[question.id] for question in questions]

    def _open(self, questions, benchmark: str, answered: dict[str, Prediction]) -> list[Asked]:
        asked = []
        for question in questions:
            try:
                picture = question_picture(question, benchmark, self.way, self.protocol)
            except ValueError as error:
                answered[question.id] = _unasked(question, str(error))
            else:
                asked.append(Asked(question, picture, []))
        return asked

    def _find(self, asked: list[Asked], answered: dict[str, Prediction]) -> list[Asked]:
        rows = self.source.find([one.question for one in asked], [one.picture for one in asked])
        with_items = []
        for one, items in zip(asked, rows, strict=True):
            if items is None:
                answered[one.question.id] = _unasked(one.question, NOT_RETRIEVED)
                continue
            try:
                given = self._given(items[: self.top_k])
            except ValueError as error:
                answered[one.question.id] = _unasked(one.question, str(error))
            else:
                with_items.append(Asked(one.question, one.picture, given))
        return with_items

    def _given(self, items: list[MemoryItem]) -> list[MemoryItem]:
        """Return items as the model gets them, with their pictures opened where they are looked at now."""
        if self.way == "RAG":
            return shown_items(items, self.protocol, self.processor.memory_max_pixels)
        return self.source.prepare(items)

    def _inputs(self, asked: list[Asked], benchmark: str):
        has_items = self.way != "no memory"
        prompts = [self.prompt(benchmark, one.question, has_items=has_items) for one in asked]
        pasted = memory = None
        if self.way == "RAG":
            pasted = [one.items for one in asked]
        elif self.way == "memory":
            memory = self.source.memory_inputs([one.items for one in asked])
        pictures = [one.picture for one in asked]
        order = {"picture_first": self.picture_first}
        return question_inputs(self.processor, prompts, pictures, pasted, memory, **order)

    def _short_enough(
        self, asked: list[Asked], positions: list[int], answered: dict[str, Prediction]
    ) -> list[tuple[Asked, int]]:
        """The questions that the model has positions for, with the positions of each."""
        limit = position_limit(self.model.config)
        short = []
        for one, count in zip(asked, positions, strict=True):
            if limit is None or count <= limit:
                short.append((one, count))
                continue
            problem = f"Question, picture and items take {count:,} positions, but the model has {limit:,}."
            answered[one.question.id] = Prediction(one.question.id, "", _ids(one.items), count, problem)
        return short

    def _generation(self) -> dict:
        settings = dict(self.protocol.generation.get(self.way, {}))
        if not settings.get("do_sample", self.model.generation_config.do_sample):
            for name in ("temperature", "top_p"):  # they would have no effect, and transformers warns
                settings.pop(name, None)
        return settings


def _unasked(question: BenchmarkQuestion, problem: str) -> Prediction:
    return Prediction(question.id, "", (), 0, problem)


def _ids(items: Sequence[MemoryItem]) -> tuple[str, ...]:
    return tuple(item.id if item.id is not None else str(number) for number, item in enumerate(items))
