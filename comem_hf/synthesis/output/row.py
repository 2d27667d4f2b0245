"""A row of the result."""

import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A training row, before its pictures are written.

    Args:
        id (`str`): Its id, among all rows.
        question_id (`str`): Id of the question that it was made of; a translated row has another id, and this one.
        source (`str`): Name of its source.
        origin (`str`): `"verified"`, `"teacher"` or `"dialogue"`.
        side (`str`): `"train"` or `"held_out"`.
        entity (`str`): What it is about.
        question (`str`): The question, as the teacher was asked it.
        answer (`str`): What is to be learned.
        items (`tuple[str, ...]`): Ids of its items, in order.
        language (`str`): Language of question and answer.
        item_id (`str`, *optional*): The item that holds the answer, if that is known.
        kind (`str`, *optional*, defaults to `""`): What is asked for.
    """

    id: str
    question_id: str
    source: str
    origin: str
    side: str
    entity: str
    question: str
    answer: str
    items: tuple[str, ...]
    language: str
    item_id: str | None = None
    kind: str = ""

    def to_json(self, image: str, memories: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the row in the form that `comem train` and, where the item is known, `comem evaluate` read.

        Args:
            image (`str`): Path of the question's picture, from the folder of the rows.
            memories (`list[dict]`): Its items, with paths of their pictures.
        """
        known = {"item_id": self.item_id, "kind": self.kind or None}
        return {
            "image": image,
            "question": self.question,
            "answer": self.answer,
            "memories": memories,
            "entity": self.entity,
            "language": self.language,
            "id": self.id,
            "source": self.source,
            "origin": self.origin,
            **{name: value for name, value in known.items() if value is not None},
        }


def shuffled(items: tuple[str, ...], seed: int, row_id: str) -> tuple[str, ...]:
    """Return items in an order that the seed and the id of their row decide."""
    return tuple(random.Random(f"{seed} items of {row_id}").sample(items, len(items)))
