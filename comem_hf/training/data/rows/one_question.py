"""The form of a row with one question: `question`, `answer`."""

from typing import Any

from .content import refuse_mark, split_at_images, text_part
from .row import Row
from .turns import with_system


def read_question(row: Row) -> list[dict[str, Any]]:
    """Read a question and its answer as messages.

    Raises:
        ValueError: If one of the two is missing or empty.
    """
    question, answer = (row.text(row.fields.get(key), key) for key in ("question", "answer"))
    refuse_mark(row, answer, "answer")
    messages = [
        {"role": "user", "content": split_at_images(question)},
        {"role": "assistant", "content": [text_part(answer)]},
    ]
    return with_system(row, messages)
