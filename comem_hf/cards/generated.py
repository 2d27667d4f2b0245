"""Which cards are ours to write anew: those that nobody has edited since."""

import hashlib
import re


_MARK = "<!-- Written by comem_hf, which renews this card unless somebody has edited it: sha256 {} -->"
_MARKED = re.compile(_MARK.format(r"([0-9a-f]{64})") + r"\s*\Z")
_OF_TRANSFORMERS = "This is the model card of a 🤗 transformers model that has been pushed on the Hub."


def mark(text: str) -> str:
    """A card with a comment at its end that tells whether it has been edited."""
    text = text.rstrip()
    return f"{text}\n\n{_MARK.format(_checksum(text))}\n"


def is_generated(text: str) -> bool:
    """Whether a card is one of ours as it was written, or transformers' own for a model that has none."""
    marked = _MARKED.search(text)
    if marked is None:
        return _OF_TRANSFORMERS in text
    return marked[1] == _checksum(text[: marked.start()])


def _checksum(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()  # ends of lines may change on the way


def one_line(value: object) -> str:
    """A value as it can stand in a cell of a table."""
    return " ".join(str(value).replace("|", "\\|").split())
