"""Questions with known answers about items of a bank."""

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """A question about the picture of one item of a bank.

    Args:
        item_id (`str`): Id of the item whose picture the question is about and whose text holds the answer.
        question (`str`): The question.
        answer (`str`): The right answer.
        kind (`str`): What is asked for, such as `"capital"`; scores can be given by kind.
    """

    item_id: str
    question: str
    answer: str
    kind: str = ""


def load_questions(path: str | os.PathLike) -> list[Question]:
    """Read questions from JSONL rows `{"item_id", "question", "answer", "kind"}`.

    Args:
        path (`str` or `os.PathLike`): The file.

    Raises:
        ValueError: If the file cannot be read or a row lacks a field; the row's number is named.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"Cannot read questions from {str(path)!r}: {error}.") from error
    questions = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            questions.append(Question(row["item_id"], row["question"], row["answer"], row.get("kind", "")))
        except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"Line {number} of {str(path)!r} is no question: it must be a JSON object with `item_id`, `question` "
                f"and `answer` ({type(error).__name__}: {error})."
            ) from error
    if not questions:
        raise ValueError(f"{str(path)!r} holds no questions.")
    return questions
