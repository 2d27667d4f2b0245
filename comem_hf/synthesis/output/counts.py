"""Counts of each step, by source."""

STEPS = {
    "read": "questions, or dialogues about items",
    "drawn": "drawn to be asked",
    "without_picture": "left out: the picture is missing or damaged",
    "without_question": "left out: the model wrote no question",
    "not_asked": "left out: could not be asked",
    "answered": "answered by the teacher",
    "train_questions": "to train on",
    "right": "with a known answer, and answered right",
    "found": "with the true item among those retrieved",
    "wrong": "left out: answered wrong, or by nothing",
    "not_found": "left out: the true item was not retrieved",
    "unused": "left out: over the source's count",
    "train": "rows to train on",
    "held_out_questions": "held out",
    "held_out_right": "held out and answered right",
    "held_out": "rows held out",
    "translated": "translated rows to train on, beside these",
}
"""Names of the steps, and what the card says of each."""


class Counts(dict):
    """Counts of the steps of one source: `counts.add("read", 3)`; steps keep the order of [`STEPS`]."""

    def __init__(self):
        super().__init__(dict.fromkeys(STEPS, 0))

    def add(self, step: str, number: int = 1) -> None:
        """Add to the count of a step.

        Args:
            step (`str`): One of [`STEPS`].
            number (`int`, *optional*, defaults to 1): What to add.
        """
        self[step] += number
