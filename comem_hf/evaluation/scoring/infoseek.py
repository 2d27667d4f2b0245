"""The scorers of InfoSeek, in English and in the other languages: the official evaluator's, and the CoMEM release's.

Official: `infoseek_eval.py` of edchengg/infoseek_eval (commit bec0c4c). It knows nothing of languages; no evaluator of
multilingual InfoSeek has been published. Release: `infoseek/infoseek_eval.py` of WenyiWU0111/CoMEM (commit 65de858).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.scoring.sets.answered import reference_of
from comem_hf.evaluation.scoring.sets.means import harmonic_mean, rounded_percent
from comem_hf.evaluation.scoring.texts.given import text_of, texts_of
from comem_hf.evaluation.scoring.texts.numbers import in_range, numbers_in
from comem_hf.evaluation.scoring.texts.release_text import after_last_colon, release_answer
from comem_hf.evaluation.scoring.texts.squad import exact_match

from .scorer import Scorer


HALVES = UNSEEN_QUESTION, UNSEEN_ENTITY = "unseen_question", "unseen_entity"


def official_score(prediction: str, answer_eval: Any, question_type: str) -> float:
    """Return 1 if the official evaluator takes an answer for right, else 0.

    Args:
        prediction (`str`): The extracted answer.
        answer_eval (`list[str]` or `list[dict]`): The right answers; for a number, an entry with its `range`.
        question_type (`str`): `"Time"`, `"Numerical"`, or anything else for texts. Times are compared as texts, too:
            that a year off by one is right, as the evaluator's documentation says, holds only where the list has the
            years beside.

    Returns:
        `float`: 1 or 0.

    Raises:
        `ValueError`: If one is no text, there is no reference, or a number has no range.
    """
    text = text_of(prediction, "prediction")
    if text_of(question_type, "question type").lower() == "numerical":
        return in_range(numbers_in(text), range_of(answer_eval))
    return max(exact_match(text, answer) for answer in texts_of(answer_eval, "reference answer"))


def release_score(prediction: str, answer_eval: Any, question_type: str) -> float:
    """Return 1 if the release takes an answer for right, else 0.

    Args:
        prediction (`str`): The model's whole text, which is cut behind its last colon first.
        answer_eval (`list[str]` or `list[dict]`): The right answers.
        question_type (`str`): As above. A text is right if it equals a reference once both went through the release's
            normalizer, which may empty both; a time is right if it lies within a reference, or a reference in it.

    Returns:
        `float`: 1 or 0.

    Raises:
        `ValueError`: If one is no text, there is no reference, or a number has no range.
    """
    text = after_last_colon(text_of(prediction, "prediction"))
    kind = text_of(question_type, "question type").lower()
    if kind == "numerical":
        return in_range(numbers_in(text), range_of(answer_eval))
    answer = release_answer(text)
    references = [release_answer(reference) for reference in texts_of(answer_eval, "reference answer")]
    if kind == "time":
        within = (answer in reference or reference in answer for reference in references if reference)
        return float(bool(answer) and any(within))
    return float(answer in references)


def range_of(answer_eval: Any) -> tuple[float, float]:
    """Return the range of a right number.

    Args:
        answer_eval (`list[dict]` or `dict`): `{"wikidata": x, "range": [low, high]}`, or a list of which the first
            counts.

    Returns:
        `tuple[float, float]`: The first two numbers of `range`.

    Raises:
        `ValueError`: If there is no such range.
    """
    entry = answer_eval[0] if isinstance(answer_eval, Sequence) and answer_eval else answer_eval
    try:
        low, high = (float(str(number)) for number in entry["range"][:2])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"`answer_eval` of a numerical question needs a `range` of two, got {entry!r}.") from error
    return low, high


def half_of(question: BenchmarkQuestion) -> str:
    """Return which half a question counts in: unseen entities unless its split says `unseen_question` at its end."""
    return UNSEEN_QUESTION if question.split.endswith(UNSEEN_QUESTION) else UNSEEN_ENTITY


def final_score(groups: Mapping[str, float]) -> float:
    """Return the evaluator's number of InfoSeek, 0 to 100: the harmonic mean of both halves, each rounded before.

    Args:
        groups (`Mapping[str, float]`): Mean score of each half, 0 to 1. One that is not there counts as 0, and so the
            number is 0.

    Returns:
        `float`: With two places.
    """
    halves = (groups.get(half, 0.0) for half in HALVES)
    return round(harmonic_mean(*(rounded_percent({"half": half}) for half in halves)), 2)


def number_of(groups: Mapping[str, float]) -> float:
    """Return [`final_score`] where both halves have questions.

    Args:
        groups (`Mapping[str, float]`): Mean score of each half, 0 to 1.

    Returns:
        `float`: With two places.

    Raises:
        `ValueError`: If a half has no question: the evaluator's number is then 0, whatever was answered.
    """
    lacking = [half for half in HALVES if half not in groups]
    if lacking:
        raise ValueError(
            f"InfoSeek's number is made of unseen questions and unseen entities; there is no {lacking[0]}. "
            "Look at the splits, or take a larger part of the benchmark."
        )
    return final_score(groups)


OFFICIAL = Scorer(
    name="official",
    metric="InfoSeek accuracy",
    extracts=False,
    score=lambda text, question: official_score(text, *reference_of(question, "answer_eval", "question_type")),
    group=half_of,
    headline=number_of,
)
RELEASE = Scorer(
    name="release",
    metric="InfoSeek accuracy",
    extracts=True,
    score=lambda text, question: release_score(text, *reference_of(question, "answer_eval", "question_type")),
    group=half_of,
    headline=number_of,
)
