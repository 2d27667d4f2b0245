"""What the tasks of the paper's benchmarks are made of: documents, pictures, prompts and scores."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from transformers.utils import logging

from comem_hf.evaluation.asking.terms.pictures import question_picture
from comem_hf.evaluation.asking.terms.prompts import prompt_of
from comem_hf.evaluation.asking.terms.protocol import EQUAL
from comem_hf.evaluation.benchmarks import BenchmarkQuestion
from comem_hf.evaluation.scoring import extract_answer

from .benchmark_files import open_benchmark, scorers_for


logger = logging.get_logger(__name__)


def documents(rows: Any) -> Any:
    """Return the questions of a task, as columns that lmms-eval writes beside the answers.

    Args:
        rows (`datasets.Dataset`): The table `benchmarks.jsonl`; its split has the name of the task.

    Returns:
        `datasets.Dataset`: Columns `task`, `number`, `id`, `question` and `answer`.
    """
    from datasets import Dataset

    task = str(rows.split)
    scorers_for(task)  # what they lack is said before a question is answered
    questions = open_benchmark(task).questions
    columns = {
        "task": [task] * len(questions),
        "number": list(range(len(questions))),
        "id": [question.id for question in questions],
        "question": [question.question for question in questions],
        "answer": [str(dict(question.reference or {})) for question in questions],
    }
    return Dataset.from_dict(columns, split=rows.split)


def pictures_of(document: dict[str, Any]) -> list[Any]:
    """Return the picture of a question, at most 512 pixels wide and high; none where it cannot be opened."""
    try:
        return [_picture(document)]
    except ValueError as error:
        logger.warning(f"{document['task']}, question {document['id']}: {error} The answer counts as wrong.")
        return []


def prompt(document: dict[str, Any], settings: dict[str, Any]) -> str:
    """Return the published prompt of a question.

    Args:
        document (`dict`): The document.
        settings (`dict`): The task's `lmms_eval_specific_kwargs`: with `has_items`, the prompt asks to use the given
            information, where the published one does.
    """
    benchmark = open_benchmark(document["task"]).name
    return prompt_of(benchmark, _question(document), has_items=settings["has_items"])


def scores(document: dict[str, Any], answers: list[str]) -> dict[str, dict[str, Any]]:
    """Score an answer by each scorer.

    Args:
        document (`dict`): The document.
        answers (`list[str]`): The answer alone.

    Returns:
        `dict`: By the name of the scorer `{"score": 0 to 100, "group", "task"}`, if it counts the question. An answer
        to a question whose picture cannot be opened scores 0.
    """
    [answer], question, found = answers, _question(document), {}
    for name, scorer in scorers_for(document["task"]).items():
        group = scorer.group(question)
        if group is None or question.reference is None:
            continue
        score = scorer.score(answer if scorer.extracts else extract_answer(answer), question)
        if score and not pictures_of(document):
            score = 0.0
        found[name] = {"score": 100 * score, "group": group, "task": document["task"]}
    return found


def official(items: Sequence[dict[str, Any]]) -> float:
    """Return the number of a benchmark, 0 to 100, by its own scorer."""
    return _headline("official", items)


def release(items: Sequence[dict[str, Any]]) -> float:
    """Return the number of a benchmark, 0 to 100, by the scorer of the CoMEM release."""
    return _headline("release", items)


def _question(document: dict[str, Any]) -> BenchmarkQuestion:
    return open_benchmark(document["task"]).questions[document["number"]]


def _picture(document: dict[str, Any]):
    # The way matters under the protocol of the release only.
    return question_picture(_question(document), open_benchmark(document["task"]).name, "memory", EQUAL)


def _headline(name: str, items: Sequence[dict[str, Any]]) -> float:
    groups = defaultdict(list)
    for item in items:
        groups[item["group"]].append(item["score"] / 100)
    task = items[0]["task"]
    means = {group: sum(values) / len(values) for group, values in groups.items()}
    try:
        return scorers_for(task)[name].headline(means)
    except ValueError as error:  # such as OVEN's with a `--limit` that leaves out one of its halves
        logger.warning(f"{task} has no {name} score: {error}")
        return math.nan
