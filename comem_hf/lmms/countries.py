"""The task `comem_countries`: questions about flags of countries that the embedded model was not trained on."""

import io
from typing import Any

from comem_hf.bank import MemoryBank
from comem_hf.default import default_path
from comem_hf.evaluation import exact_match, load_questions, question_pictures


def documents(rows: Any) -> Any:
    """Return the questions that `comem evaluate` asks, with the same disturbed pictures.

    Args:
        rows (`datasets.Dataset`): What the task's file of questions holds; of the installed package, so not read.

    Returns:
        `datasets.Dataset`: Columns `question`, `answer`, `kind` and `picture` (an undecoded PNG).
    """
    from datasets import Dataset, Features, Image, Value

    questions = load_questions(default_path("questions.jsonl"))
    pictures = question_pictures(MemoryBank.from_pretrained(default_path("bank")), questions)
    columns = {
        "question": [question.question for question in questions],
        "answer": [question.answer for question in questions],
        "kind": [question.kind for question in questions],
        "picture": [{"bytes": _png(picture), "path": None} for picture in pictures],
    }
    texts = dict.fromkeys(("question", "answer", "kind"), Value("string"))
    return Dataset.from_dict(columns, features=Features({**texts, "picture": Image(decode=False)}), split=rows.split)


def pictures_of(document: dict[str, Any]) -> list[Any]:
    """Return the picture of a question."""
    from comem_hf.modeling.picture_comem import load_image

    return [load_image(document["picture"])]


def score(document: dict[str, Any], answers: list[str]) -> dict[str, float]:
    """Score an answer as `comem evaluate` does."""
    return {"exact_match": float(exact_match(answers[0], document["answer"]))}


def _png(picture) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()
