"""The scorers of CVQA: accuracy of the chosen option, and the CoMEM release's exact match.

The authors' evaluator is a closed challenge (EvalAI 2305); its public rule is the accuracy of the option's index. What
is called official here reads answers as VLMEvalKit does without a judge (`can_infer` in open-compass/VLMEvalKit,
commit e8e78f0). Release: `CVQA/cvqa_eval.py` of WenyiWU0111/CoMEM (commit 65de858).
"""

import re
from collections.abc import Sequence

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.scoring.sets.answered import reference_of
from comem_hf.evaluation.scoring.sets.means import everything, percent
from comem_hf.evaluation.scoring.texts.given import text_of
from comem_hf.evaluation.scoring.texts.options import LETTERS, option_named
from comem_hf.evaluation.scoring.texts.release_text import release_extracted

from .scorer import Scorer


MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
NO_ANSWER = "Failed to obtain answer via API"
STATED = re.compile(r"answer\s+is\s+\**([ABCD])", re.IGNORECASE)
NEAR_THE_END = 5


def official_letter(answer: str, options: Sequence[str]) -> str | None:
    """Return the letter of the option that VLMEvalKit finds in an answer.

    Args:
        answer (`str`): The answer. Numbers of options are not read.
        options (`Sequence[str]`): The options.

    Returns:
        `str`, *optional*: The letter, as [`lettered`] finds it; else that of the only option whose text occurs in the
        answer, in any case, if the answer is not longer than twice all options. `None` if there is none.

    Raises:
        `ValueError`: If the answer is no text.
    """
    answer = text_of(answer, "prediction")
    named = dict(zip(LETTERS, map(str, options), strict=False))
    letter = lettered(answer, named)
    if letter is not None:
        return letter or None
    if len(answer.lower()) > 2 * sum(map(len, named.values())):
        return None
    within = [letter for letter, option in named.items() if option.lower() in answer.lower()]
    return within[0] if len(within) == 1 else None


def lettered(answer: str, options: Sequence[str]) -> str | None:
    """Return the letter that an answer states.

    Args:
        answer (`str`): The answer.
        options (`Sequence[str]`): Letters of the options.

    Returns:
        `str`, *optional*: The only capital letter of an option that stands as a word among the last four words, else
        the letter behind the first "answer is", small or capital, even at the start of a word. Empty if the answer
        refuses to answer; `None` if it states no letter.
    """
    if NO_ANSWER in answer:
        return None
    if any(refusal in answer for refusal in REFUSALS):
        return ""
    words = answer.translate(MARKS).split()
    found = [letter for letter in options if letter in words]
    if len(found) == 1 and words.index(found[0]) > len(words) - NEAR_THE_END:
        return found[0]
    if not found and "Z" in words:
        return ""
    stated = STATED.search(answer)
    return stated[1].upper() if stated and stated[1].upper() in options else None


def official_score(answer: str, options: Sequence[str], label: int) -> float:
    """Return 1 if the letter that VLMEvalKit finds is the right option's, else 0.

    Args:
        answer (`str`): The answer.
        options (`Sequence[str]`): The options.
        label (`int`): Index of the right option, from 0.

    Returns:
        `float`: 1 or 0.

    Raises:
        `ValueError`: If the answer is no text, or the label no index of an option.
    """
    right = checked_label(label)
    if not 0 <= right < len(options):
        raise ValueError(f"`Label` must be the index of one of {len(options)} options, from 0, got {label!r}.")
    return float(official_letter(answer, options) == LETTERS[right])


def release_score(prediction: str, label: int | str) -> float:
    """Return 1 if the release takes an answer for right, else 0.

    Args:
        prediction (`str`): The model's whole text.
        label (`int` or `str`): Index of the right option, from 0.

    Returns:
        `float`: 1 if what stands in the first box, or else behind the last ASCII colon, is the number of the right
        option, from 1, without a blank or a mark around it.

    Raises:
        `ValueError`: If the prediction is no text, or the label no number, where the release crashes.
    """
    answer = release_extracted(text_of(prediction, "prediction"))
    return float(answer == str(checked_label(label) + 1))


def checked_label(label: int | str) -> int:
    """Return the index of the right option, refused if it is none."""
    try:
        return int(label)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`Label` must be the index of the right option, from 0, got {label!r}.") from error


def chosen(text: str, question: BenchmarkQuestion) -> float:
    """Return the score of an extracted answer: the option that it names, else the one that VLMEvalKit finds."""
    options, label = reference_of(question, "Options", "Label")
    named = option_named(text_of(text, "prediction"), options)
    return official_score(text if named is None else LETTERS[named], options, label)


OFFICIAL = Scorer(
    name="official",
    metric="accuracy",
    extracts=False,
    score=chosen,
    group=everything,
    headline=percent,
)
RELEASE = Scorer(
    name="release",
    metric="exact match",
    extracts=True,
    score=lambda text, question: release_score(text, *reference_of(question, "Label")),
    group=everything,
    headline=percent,
)
