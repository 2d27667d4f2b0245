"""The scorers of A-OKVQA: direct answers, multiple choice, and the CoMEM release's exact match.

Official: `eval_predictions.py` of allenai/aokvqa (commit 83786de). Texts are compared as they are, without any
normalizing. Release: `AOK-VQA/aokvqa_eval.py` of WenyiWU0111/CoMEM (commit 65de858), which scores direct answers only.
"""

import ast
from collections.abc import Iterable, Sequence

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.scoring.sets.answered import reference_of
from comem_hf.evaluation.scoring.sets.means import everything, percent, rounded_percent
from comem_hf.evaluation.scoring.texts.given import text_of, texts_of
from comem_hf.evaluation.scoring.texts.options import option_named
from comem_hf.evaluation.scoring.texts.release_text import first_prediction, release_answer

from .scorer import Scorer


def direct_answers_of(answers: str | Iterable[str]) -> tuple[str, ...]:
    """Return the references of a question, which some files hold as the text of a list.

    Args:
        answers (`str` or `Iterable[str]`): The references, or a Python literal of them. The text of a numpy array has
            no commas, and so reads as one joined word: so the release reads it, too.

    Returns:
        `tuple[str, ...]`: The references; the letters of a literal that is a single text, as the release has it.

    Raises:
        `ValueError`: If the text is not the literal of a list.
    """
    if isinstance(answers, str):
        try:
            read = ast.literal_eval(answers)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise ValueError(f"`direct_answers` must be a list of texts, got {answers!r}.") from error
        if not isinstance(read, Iterable):
            raise ValueError(f"`direct_answers` must be a list of texts, got {answers!r}.")
        answers = read
    return tuple(answers)


def official_score(prediction: str, answers: str | Iterable[str]) -> float:
    """Return the score of a direct answer.

    Args:
        prediction (`str`): The extracted answer.
        answers (`str` or `Iterable[str]`): The references.

    Returns:
        `float`: min(1, matches / 3), each letter the same; 0 without references.
    """
    return min(1.0, direct_answers_of(answers).count(prediction) / 3)


def choice_score(prediction: str, choices: Sequence[str], correct: int) -> float:
    """Return 1 if an answer is the text of the right choice, else 0.

    Args:
        prediction (`str`): A choice's text; its letter is wrong.
        choices (`Sequence[str]`): The choices.
        correct (`int`): Index of the right one, from 0.

    Returns:
        `float`: 1 or 0.
    """
    return float(prediction == choices[correct])


def chosen(text: str, question: BenchmarkQuestion) -> float:
    """Return the score of an extracted answer that names a choice by letter, number or text."""
    choices, correct = reference_of(question, "choices", "correct_choice_idx")
    named = option_named(text_of(text, "prediction"), choices)
    return choice_score(text if named is None else choices[named], choices, correct)


def release_score(prediction: str | Sequence[str], answers: str | Iterable[str]) -> float:
    """Return 1 if the release finds the answer among the references, else 0.

    Args:
        prediction (`str` or `list[str]`): The model's whole text; of a list, the first.
        answers (`str` or `Iterable[str]`): The references, or their text; compared as they are but for blanks around
            them.

    Returns:
        `float`: 1 or 0.

    Raises:
        `ValueError`: If the prediction is no text or no reference is left, where the release crashes.
    """
    answer = release_answer(text_of(first_prediction(prediction), "prediction"))
    references = (text_of(reference, "reference answer").strip() for reference in direct_answers_of(answers))
    return float(answer in texts_of(filter(None, references), "reference answer"))


def counted(question: BenchmarkQuestion) -> str | None:
    """Return the group of a question; `None` for one whose direct answers are marked as difficult."""
    reference = question.reference or {}
    return None if reference.get("difficult_direct_answer", False) else "all"


OFFICIAL = Scorer(
    name="official",
    metric="direct answer accuracy",
    extracts=False,
    score=lambda text, question: official_score(text, *reference_of(question, "direct_answers")),
    group=counted,
    headline=percent,
)
MULTIPLE_CHOICE = Scorer(
    name="official",
    metric="multiple choice accuracy",
    extracts=False,
    score=chosen,
    group=everything,
    headline=percent,
)
RELEASE = Scorer(
    name="release",
    metric="exact match",
    extracts=True,
    score=lambda text, question: release_score(text, *reference_of(question, "direct_answers")),
    group=everything,
    headline=rounded_percent,
)
