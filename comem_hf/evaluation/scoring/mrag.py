"""The scorers of MRAG-Bench: accuracy of the chosen letter, found as the official evaluator and the CoMEM release do.

Official: `eval/score.py` of mragbench/MRAG-Bench (commit 4ae2241). Release: `MRAG_Bench/mrag_bench_eval.py` of
WenyiWU0111/CoMEM (commit 65de858). Both ask an outside language model for the letter where they find none. Here nobody
is asked: the scorers then read the answer as [`option_named`] does, and it is wrong if it names no option.
"""

from collections.abc import Callable

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.scoring.sets.answered import reference_of
from comem_hf.evaluation.scoring.sets.means import everything, rounded_percent
from comem_hf.evaluation.scoring.texts.extraction import extract_answer
from comem_hf.evaluation.scoring.texts.given import text_of
from comem_hf.evaluation.scoring.texts.options import option_named

from .scorer import Scorer


LETTERS = "ABCD"
ENDS = ",.!?;:'"


def official_letter(output: str) -> str | None:
    """Return the letter that the official evaluator finds in an answer.

    Args:
        output (`str`): The extracted answer.

    Returns:
        `str`, *optional*: The last of the letters in round brackets, else the last of the letters between blanks, both
        capitals only, after `, . ! ? ; : '` were taken off the ends, each once in this order. `None` if there is no
        such letter; there the evaluator asks a language model, or crashes if the answer has more than five words.

    Raises:
        `ValueError`: If the output is no text.
    """
    text = text_of(output, "prediction").strip()
    for mark in ENDS:
        text = text.strip(mark)
    text = f" {text} "
    for form in ("({})", " {} "):
        places = {text.rfind(form.format(letter)): letter for letter in LETTERS}
        if max(places) >= 0:
            return places[max(places)]
    return None


def release_letter(output: str) -> str | None:
    """Return the letter that the release finds in an answer: its first character.

    Args:
        output (`str`): The model's whole text.

    Returns:
        `str`, *optional*: `A` to `D`; so `"According to"` is A. `None` if it begins with something else, where the
        release asks a language model, or is empty, where it crashes.

    Raises:
        `ValueError`: If the output is no text.
    """
    first = text_of(output, "prediction").strip()[:1]
    return first if first and first in LETTERS else None


def score(output: str, right: str, find: Callable[[str], str | None]) -> float:
    """Return 1 if the letter found in an answer is the right one, else 0.

    Args:
        output (`str`): The answer.
        right (`str`): The right letter, compared as it is.
        find (`Callable[[str], str | None]`): [`official_letter`] or [`release_letter`].

    Returns:
        `float`: 1 or 0; 0 if no letter is found.

    Raises:
        `ValueError`: If the output is no text.
    """
    return float(find(output) == right)


def with_options(find: Callable[[str], str | None]) -> Callable[[str, BenchmarkQuestion], float]:
    """Return the scoring of a question whose options are read where an evaluator would ask a language model."""

    def find_and_score(text: str, question: BenchmarkQuestion) -> float:
        letter = find(text)
        if letter is None:
            named = option_named(extract_answer(text), question.options)
            letter = None if named is None else LETTERS[named : named + 1]
        (right,) = reference_of(question, "answer_choice")
        return score(text, right, lambda _: letter)

    return find_and_score


OFFICIAL = Scorer(
    name="official",
    metric="accuracy",
    extracts=False,
    score=with_options(official_letter),
    group=everything,
    headline=rounded_percent,
)
RELEASE = Scorer(
    name="release",
    metric="accuracy",
    extracts=True,
    score=with_options(release_letter),
    group=everything,
    headline=rounded_percent,
)
