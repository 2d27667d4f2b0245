"""The task `comem_countries`: questions about flags of countries that the embedded model was not trained on."""

import io
from typing import Any

from comem_hf.bank import MemoryBank
from comem_hf.default import default_path
from comem_hf.evaluation import Question, exact_match, question_pictures
from comem_hf.modeling.picture_comem import load_image


def documents(rows: Any) -> Any:
    """Return the questions with their pictures, disturbed as `comem evaluate` does.

    Args:
        rows (`datasets.Dataset`): The questions of the embedded default: `item_id`, `question`, `answer`, `kind`.

    Returns:
        `datasets.Dataset`: The same, with the column `picture`, undecoded PNG files.
    """
    from datasets import Image

    questions = [Question(**row) for row in rows]
    pictures = question_pictures(MemoryBank.from_pretrained(default_path("bank")), questions)
    files = [{"bytes": _png(picture), "path": None} for picture in pictures]
    return rows.add_column("picture", files).cast_column("picture", Image(decode=False))


def pictures_of(document: dict[str, Any]) -> list[Any]:
    """Return the picture of a question."""
    return [load_image(document["picture"])]


def score(document: dict[str, Any], answers: list[str]) -> dict[str, float]:
    """Score an answer as `comem evaluate` does."""
    return {"exact_match": float(exact_match(answers[0], document["answer"]))}


def _png(picture) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()
