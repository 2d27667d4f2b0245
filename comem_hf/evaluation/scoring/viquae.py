"""The scorers of ViQuAE: exact match and F1, and the CoMEM release's exact match.

Official: `meerqat.train.metrics` of PaulLerner/ViQuAE (commit 15c15ac). Release: `Viquae/viquae_eval.py` of
WenyiWU0111/CoMEM (commit 65de858).
"""

from collections.abc import Iterable, Sequence

from comem_hf.evaluation.scoring.sets.answered import reference_of
from comem_hf.evaluation.scoring.sets.means import everything, percent
from comem_hf.evaluation.scoring.texts import squad
from comem_hf.evaluation.scoring.texts.given import text_of, texts_of
from comem_hf.evaluation.scoring.texts.release_text import after_last_colon, first_prediction, release_answer

from .scorer import Scorer


def exact_match(prediction: str, aliases: Iterable[str]) -> float:
    """Return 1 if an answer is one of the aliases once both are normalized, else 0.

    Args:
        prediction (`str`): The extracted answer.
        aliases (`Iterable[str]`): The right answers. An alias of which nothing is left (`"The"`) matches an answer of
            which nothing is left.

    Returns:
        `float`: 1 or 0.

    Raises:
        `ValueError`: If one is no text, or there is no alias.
    """
    text = text_of(prediction, "prediction")
    return max(squad.exact_match(text, alias) for alias in texts_of(aliases, "reference answer"))


def f1(prediction: str, aliases: Iterable[str]) -> float:
    """Return the best F1 of an answer over the aliases, which need not be the alias of the exact match.

    Args:
        prediction (`str`): The extracted answer.
        aliases (`Iterable[str]`): The right answers.

    Returns:
        `float`: From 0 to 1; 0 where nothing is left of both, although that is an exact match.

    Raises:
        `ValueError`: If one is no text, or there is no alias.
    """
    text = text_of(prediction, "prediction")
    return max(squad.f1(text, alias) for alias in texts_of(aliases, "reference answer"))


def release_score(prediction: str | Sequence[str], aliases: Iterable[str]) -> float:
    """Return 1 if the release finds the answer among the aliases, else 0.

    Args:
        prediction (`str` or `list[str]`): The model's whole text; of a list, the first. It is cut behind its last
            colon before the box is looked for.
        aliases (`Iterable[str]`): The right answers, compared as they are but for blanks around them: one with a
            capital is never found.

    Returns:
        `float`: 1 or 0.

    Raises:
        `ValueError`: If one is no text or no alias is left, where the release crashes.
    """
    answer = release_answer(after_last_colon(text_of(first_prediction(prediction), "prediction")))
    stripped = (alias.strip() for alias in texts_of(aliases, "reference answer"))
    return float(answer in texts_of(filter(None, stripped), "reference answer"))


OFFICIAL = Scorer(
    name="official",
    metric="exact match",
    extracts=False,
    score=lambda text, question: exact_match(text, *reference_of(question, "answer")),
    group=everything,
    headline=percent,
)
F1 = Scorer(
    name="official",
    metric="F1",
    extracts=False,
    score=lambda text, question: f1(text, *reference_of(question, "answer")),
    group=everything,
    headline=percent,
)
RELEASE = Scorer(
    name="release",
    metric="exact match",
    extracts=True,
    score=lambda text, question: release_score(text, *reference_of(question, "answer")),
    group=everything,
    headline=percent,
)
