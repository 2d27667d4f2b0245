"""Scores of a model on the same questions: without memory, with items in the prompt, and with a memory bank."""

from .disturbances import DISTURBANCES
from .questions import Question, exact_match, load_questions
from .retrieval import recall_at_1
from .ways import WAYS, Score, evaluate, question_pictures


__all__ = [
    "DISTURBANCES",
    "WAYS",
    "Question",
    "Score",
    "evaluate",
    "exact_match",
    "load_questions",
    "question_pictures",
    "recall_at_1",
]
