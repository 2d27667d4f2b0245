"""Texts as the SQuAD metric compares them, which ViQuAE and InfoSeek took over.

Source of the rules: `meerqat.train.metrics` of PaulLerner/ViQuAE (commit 15c15ac) and `infoseek_eval.py` of
edchengg/infoseek_eval (commit bec0c4c).
"""

import re
import string
from collections import Counter


PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normalized(text: str) -> str:
    """Return a text in small letters, without ASCII punctuation and English articles, with single blanks.

    Args:
        text (`str`): Any text. Marks outside ASCII stay, and `a` goes in every language.

    Returns:
        `str`: The text to compare.
    """
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", text.lower().translate(PUNCTUATION)).split())


def exact_match(prediction: str, reference: str) -> float:
    """Return 1 if both texts are the same once normalized, else 0; two that become empty are the same."""
    return float(squad_normalized(prediction) == squad_normalized(reference))


def f1(prediction: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall of the words of a text.

    Args:
        prediction (`str`): The answer.
        reference (`str`): A right answer.

    Returns:
        `float`: From 0 to 1; 0 if no word is shared, also where both are empty once normalized.
    """
    predicted, right = squad_normalized(prediction).split(), squad_normalized(reference).split()
    shared = sum((Counter(predicted) & Counter(right)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(right)
    return 2 * precision * recall / (precision + recall)
