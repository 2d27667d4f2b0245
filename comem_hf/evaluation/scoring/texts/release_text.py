"""Texts as the CoMEM release reads them: its normalizer N, and its extractor X.

Both are described in section 5.1 of this project's specification of the release (commit 65de858). Their quirks are
kept, because published numbers depend on them: the text is cut behind *parts of words*, so that `"Paris"` becomes
empty (`is`), and the first box ends at the first closing brace.
"""

import re
import string
from collections.abc import Sequence


CUTS = ("is", "the", "of", "by")  # in this order: what stands behind the last of each is kept
PUNCTUATION = str.maketrans("", "", string.punctuation)
BOX = re.compile(r"\\boxed\{(.*?)\}")


def release_normalized(text: str) -> str:
    """Return a text as the release's normalizer leaves it.

    Args:
        text (`str`): Any text.

    Returns:
        `str`: In small letters, without ASCII punctuation, cut behind the last `is`, `the`, `of` and `by`, without
        articles, single blanks between the words.
    """
    text = text.lower().translate(PUNCTUATION)
    for cut in CUTS:
        text = text.rpartition(cut)[2]
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", text).split())


def after_last_colon(text: str) -> str:
    """Return what follows the last ASCII colon, or the whole text if there is none."""
    return text.rpartition(":")[2]


def release_extracted(text: str) -> str:
    r"""Return the answer in a text, found as the release does, without normalizing it.

    Args:
        text (`str`): What the model wrote.

    Returns:
        `str`: What the first `\boxed{...}` holds, up to the first closing brace on the same line; else what follows
        the last ASCII colon.
    """
    box = BOX.search(text)
    return box.group(1) if box else after_last_colon(text)


def release_answer(text: str) -> str:
    """Return the answer in a text as the release compares it: extracted, then normalized."""
    return release_normalized(release_extracted(text))


def first_prediction(prediction: str | Sequence[str]) -> str:
    """Return the prediction, or the first of a list of them, which the release's files may hold."""
    return prediction[0] if isinstance(prediction, list) and prediction else prediction
