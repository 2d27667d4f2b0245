"""What a visitor sends, checked, and the HTML that comes back: a message, and the answers."""

from pathlib import Path

from transformers.utils import logging

from comem_hf.app.incoming.picture import read_picture

from .comparison import Comparer
from .results import EMPTY, problem, results


logger = logging.get_logger(__name__)

MAX_QUESTION_CHARACTERS = 500


def ask(comparer: Comparer, picture: object, question: object, uploads: Path) -> tuple[str, str]:
    """Answer a question, or say in a sentence why not.

    Args:
        comparer (`Comparer`): What answers.
        picture, question: As the browser sent them, of any type.
        uploads (`Path`): The only folder whose files are opened.

    Returns:
        `tuple[str, str]`: A message, empty if all went well, and both answers.
    """
    try:
        opened, asked = read_picture(picture, uploads), read_question(question)
    except ValueError as error:
        return problem(str(error)), EMPTY
    try:
        return "", results(comparer.compare(opened, asked))
    except Exception:  # of the model or the bank: the visitor gets a sentence, the log the rest
        logger.exception("A question could not be answered.")
        return problem("The question could not be answered; the server's log says why."), EMPTY


def check_picture(picture: object, uploads: Path) -> str:
    """The message about a picture that was just uploaded, empty if it can be used."""
    try:
        read_picture(picture, uploads)
    except ValueError as error:
        return problem(str(error))
    return ""


def read_question(value: object) -> str:
    """The question without superfluous spaces.

    Raises:
        ValueError: With a sentence for the visitor, if there is none, or if it has more than 500 characters.
    """
    question = " ".join(value.split()) if isinstance(value, str) else ""
    if not question:
        raise ValueError("Type a question first.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise ValueError(
            f"The question has {len(question):,} characters; at most {MAX_QUESTION_CHARACTERS} are allowed."
        )
    return question
