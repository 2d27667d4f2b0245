"""Generated cards: those that nobody has edited since may be written anew."""

import hashlib
import re


_MARK = "<!-- Written by comem_hf, which renews this card unless somebody has edited it: sha256 {} -->"
_MARKED = re.compile(_MARK.format(r"([0-9a-f]{64})") + r"\s*\Z")
_OF_TRANSFORMERS = "This is the model card of a 🤗 transformers model that has been pushed on the Hub."


def mark(text: str) -> str:
    """Add a comment to the end of a card, which shows later whether it has been edited."""
    text = text.rstrip()
    return f"{text}\n\n{_MARK.format(_checksum(text))}\n"


def is_generated(text: str) -> bool:
    """Whether a card is one of ours and unedited, or the one that transformers makes for a model without a card."""
    marked = _MARKED.search(text)
    if marked is None:
        return _OF_TRANSFORMERS in text
    return marked[1] == _checksum(text[: marked.start()])


def _checksum(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()  # line endings may change on the way


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 question", "5,046 questions"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def one_line(value: object) -> str:
    """A value as text for a cell of a table."""
    return " ".join(str(value).replace("|", "\\|").split())
