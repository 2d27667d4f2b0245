"""What a model answered."""

from dataclasses import dataclass


WAYS = ("no memory", "RAG", "memory")


@dataclass(frozen=True)
class Prediction:
    """The answer to one question, a line of a predictions file.

    Args:
        id (`str`): Id of the question.
        prediction (`str`): The model's text, whole; empty if the question could not be asked.
        items (`tuple[str, ...]`): Ids of the items that the model was given, best first.
        positions (`int`): Positions before the answer: prompt, picture tokens and memory vectors.
        problem (`str`, *optional*, defaults to `""`): Why the question was not asked (a missing or damaged picture);
            it then counts as answered wrong.
    """

    id: str
    prediction: str
    items: tuple[str, ...]
    positions: int
    problem: str = ""


@dataclass(frozen=True)
class Answers:
    """All answers of one way to one benchmark in one language.

    Args:
        way (`str`): One of [`WAYS`].
        top_k (`int`): Items per question; 0 for `"no memory"`.
        predictions (`tuple[Prediction, ...]`): One per question of the benchmark, in its order.
    """

    way: str
    top_k: int
    predictions: tuple[Prediction, ...]
