"""The teacher: the backbone, which answers with items in its prompt.

A row that it answers teaches the memory encoder what the same backbone says when it reads the items as they are. That
is sequence-level knowledge distillation, as PISCO (Louis, Déjean and Clinchant, 2025, arXiv:2501.16075) has it for
compressed documents; CoMEM (arXiv:2505.17670) keeps those answers alone that are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from comem_hf.answering import GREEDY
from comem_hf.evaluation.asking.ask import Interview
from comem_hf.evaluation.asking.items import ItemSource
from comem_hf.evaluation.asking.prediction import Prediction
from comem_hf.evaluation.asking.predictions_file import PredictionsFile
from comem_hf.evaluation.asking.processes import Processes
from comem_hf.evaluation.asking.run import PREDICTIONS
from comem_hf.evaluation.asking.terms.prompts import prompt_of
from comem_hf.evaluation.asking.terms.protocol import Protocol
from comem_hf.evaluation.benchmarks.question import Benchmark, BenchmarkQuestion
from comem_hf.synthesis.settings.settings import SynthesisSettings


@dataclass
class Teacher:
    """A model that answers questions from items in its prompt, batch by batch, shared by processes.

    Args:
        model (`CoMemForConditionalGeneration`): The model; its memory is not used.
        processor (`CoMemProcessor`): Its processor.
        settings ([`SynthesisSettings`]): The synthesis.
        processes ([`Processes`]): The processes that share the work.
    """

    model: object
    processor: object
    settings: SynthesisSettings
    processes: Processes

    def answer(
        self,
        name: str,
        benchmark: Benchmark,
        items: ItemSource,
        top_k: int,
        *,
        prompt: str = "plain",
        temperature: float = 0.0,
    ) -> dict[str, Prediction]:
        """Answer all questions that have no answer in the folder yet.

        Args:
            name (`str`): Name of the file of predictions.
            benchmark ([`Benchmark`]): The questions.
            items (`ItemSource`): Where their items come from.
            top_k (`int`): Items of a question.
            prompt (`str`, *optional*, defaults to `"plain"`): `"plain"` or `"published"`.
            temperature (`float`, *optional*, defaults to 0): 0 is greedy.

        Returns:
            `dict[str, Prediction]`: The predictions by the ids of their questions, in all processes.
        """
        sampling = {"do_sample": True, "temperature": temperature, "top_p": 1.0} if temperature else GREEDY
        protocol = Protocol("equal", self.settings.max_new_tokens, {"RAG": sampling})
        interview = Interview(
            self.model,
            self.processor,
            "RAG",
            top_k,
            protocol,
            items,
            prompt=prompt_of if prompt == "published" else plain_prompt,
            picture_first=self.settings.picture_first,
            seed=self.settings.seed,
        )
        ids = [question.id for question in benchmark.questions]
        if not ids:
            return {}
        file = PredictionsFile(predictions_path(self.settings.output, name), ids, self.processes.index)
        processes = self.processes
        interview.answer_all(benchmark, file, self.settings.batch_size, processes.index, processes.count)
        processes.wait()
        if processes.index == 0:
            file.finish()
        processes.wait()
        file.read()
        return {question_id: file.found[question_id] for question_id in ids}


def plain_prompt(benchmark: str, question: BenchmarkQuestion, *, has_items: bool) -> str:
    """Return the question as it is; arguments as of [`prompt_of`]."""
    return question.question


def asked_as(prompt: str, benchmark: str, question: BenchmarkQuestion) -> str:
    """Return a question as the teacher was asked it, and as a row holds it.

    Args:
        prompt (`str`): `"plain"` or `"published"`.
        benchmark (`str`): Name of the benchmark.
        question ([`BenchmarkQuestion`]): The question.
    """
    return (prompt_of if prompt == "published" else plain_prompt)(benchmark, question, has_items=True)


def predictions_path(folder: Path, name: str) -> Path:
    """Return the file of the predictions of that name."""
    return folder / PREDICTIONS / f"{name}.jsonl"


def questions_of(benchmark: Benchmark, candidates: Sequence) -> Benchmark:
    """Return a benchmark of the questions of some candidates."""
    return Benchmark(benchmark.name, benchmark.language, tuple(each.question for each in candidates), benchmark.files)
