"""The scorers of OK-VQA: VQA accuracy, and the CoMEM release's exact match.

Official: GT-Vision-Lab/VQA (commit a013f00), because OK-VQA's files have the form of VQA v1. Each reference is
compared with the others: an answer that k of ten people gave scores 0, 30, 60, 90, 100 percent for k = 0, 1, 2, 3, 4.
Release: `OK-VQA/okvqa_eval.py` of WenyiWU0111/CoMEM (commit 65de858).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from comem_hf.evaluation.scoring.sets.answered import reference_of
from comem_hf.evaluation.scoring.sets.means import everything, percent, rounded_percent
from comem_hf.evaluation.scoring.texts.given import text_of, texts_of
from comem_hf.evaluation.scoring.texts.release_text import release_answer
from comem_hf.evaluation.scoring.texts.vqa_text import vqa_normalized, vqa_trimmed

from .scorer import Scorer


def official_score(prediction: str, answers: Sequence[str | Mapping[str, Any]]) -> float:
    """Return the VQA accuracy of an answer.

    Args:
        prediction (`str`): The extracted answer.
        answers (`Sequence[str | Mapping]`): The references: texts, or entries with the key `answer`. An entry is not
            compared with those that equal it in all its keys; texts are entries of their own, as with ten different
            `answer_id`.

    Returns:
        `float`: From 0 to 1: over all references, the mean of min(1, matches among the others / 3). If all references
        are the same text, nothing is normalized, so that `Red` is wrong where ten people wrote `red`.

    Raises:
        `ValueError`: If the prediction is no text or there is no reference, where the evaluator crashes.
    """
    text = vqa_trimmed(text_of(prediction, "prediction"))
    references = [vqa_trimmed(reference) for reference in texts_of(map(answer_text, answers), "reference answer")]
    if len(set(references)) > 1:
        text, references = vqa_normalized(text), [vqa_normalized(reference) for reference in references]
    entries = [
        (reference, rest_of(answer) if isinstance(answer, Mapping) else place)
        for place, (reference, answer) in enumerate(zip(references, answers, strict=True))
    ]
    scores = [min(1, sum(other != entry and other[0] == text for other in entries) / 3) for entry in entries]
    return sum(scores) / len(scores)


def answer_text(answer: str | Mapping[str, Any]) -> Any:
    """Return the text of a reference, which may be an entry of the official file."""
    return answer.get("answer") if isinstance(answer, Mapping) else answer


def rest_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the official file without its text."""
    return {key: value for key, value in answer.items() if key != "answer"}


def release_stored(answers: Iterable[str | Mapping[str, Any]]) -> str:
    """Return the references as the release's predictions file stores them: the text of a numpy array.

    Args:
        answers (`Iterable[str | Mapping]`): The references.

    Returns:
        `str`: Such as `['dog' 'dog' "dog's bed"]`.
    """
    array = np.array([answer_text(answer) for answer in answers], dtype=object)
    return np.array2string(array, max_line_width=75, threshold=1000)


def release_score(prediction: str, stored: str) -> float:
    """Return 1 if the release finds the answer among the references, else 0.

    Args:
        prediction (`str`): The model's whole text.
        stored (`str`): From [`release_stored`]. The release splits it at apostrophes and normalizes nothing, so that a
            reference with an apostrophe, a capital or a mark is never found.

    Returns:
        `float`: 1 or 0.

    Raises:
        `ValueError`: If the prediction is no text or no reference is left, where the release crashes.
    """
    answer = release_answer(text_of(prediction, "prediction"))
    pieces = (piece.strip() for piece in stored.replace("[", "").replace("]", "").split("'"))
    return float(answer in texts_of(filter(None, pieces), "reference answer"))


OFFICIAL = Scorer(
    name="official",
    metric="VQA accuracy",
    extracts=False,
    score=lambda text, question: official_score(text, *reference_of(question, "answers")),
    group=everything,
    headline=rounded_percent,
)
RELEASE = Scorer(
    name="release",
    metric="exact match",
    extracts=True,
    score=lambda text, question: release_score(text, release_stored(*reference_of(question, "answers"))),
    group=everything,
    headline=percent,
)
