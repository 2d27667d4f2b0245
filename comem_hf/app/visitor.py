"""Checks of a visitor's input, and the HTML of the reply: a message, and the answers."""

from pathlib import Path

from transformers.utils import logging

from comem_hf.app.incoming.picture import read_picture

from .comparison import Comparer
from .results import EMPTY, problem, results


logger = logging.get_logger(__name__)

MAX_QUESTION_CHARACTERS = 500


def ask(
    comparer: Comparer, picture: object, question: object, uploads: Path, min_score: object = None
) -> tuple[str, str]:
    """Answer a question, or return a message that says why it has no answer.

    Args:
        comparer (`Comparer`): Source of the answers.
        picture, question: The values that the browser sent, of any type; `None` for no picture.
        uploads (`Path`): The only folder whose files are opened.
        min_score (*optional*): Least probability of items, also of any type; `None` and 0 for all items.

    Returns:
        `tuple[str, str]`: A message, empty on success, and both answers, as HTML.
    """
    try:
        opened = None if picture is None and is_text(question) else read_picture(picture, uploads)
        asked = read_question(question)
        least = read_min_score(min_score)
    except ValueError as error:
        return problem(str(error)), EMPTY
    try:
        return "", results(comparer.compare(opened, asked, **least))
    except Exception:  # in the model or the bank: the visitor gets a sentence, the log the traceback
        logger.exception("A question could not be answered.")
        return problem("The question could not be answered; the server's log says why."), EMPTY


def check_picture(picture: object, uploads: Path) -> str:
    """Return a message about an uploaded picture, empty if the picture can be used."""
    try:
        read_picture(picture, uploads)
    except ValueError as error:
        return problem(str(error))
    return ""


def is_text(value: object) -> bool:
    """Whether there is a question at all."""
    return isinstance(value, str) and bool(value.strip())


def read_min_score(value: object) -> dict[str, float]:
    """Return the least probability as an argument of `compare`; there is none if all items may be used.

    Raises:
        ValueError: If it is no number from 0 to 1; the message is for the visitor.
    """
    if value is None or value == 0 and not isinstance(value, bool):
        return {}
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("The least probability must be a number from 0 to 1.")
    return {"min_score": float(value)}


def read_question(value: object) -> str:
    """Return the question without superfluous spaces.

    Raises:
        ValueError: If there is no question, or it has more than 500 characters; the message is for the visitor.
    """
    question = " ".join(value.split()) if is_text(value) else ""
    if not question:
        raise ValueError("Type a question first.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise ValueError(
            f"The question has {len(question):,} characters; at most {MAX_QUESTION_CHARACTERS} are allowed."
        )
    return question
