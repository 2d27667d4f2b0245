"""Scores of a model on the same questions: without memory, with items in the prompt, and with a memory bank."""

from comem_hf.answering import exact_match
from comem_hf.bank.scores.disturbances import DISTURBANCES

from .questions import Question, load_questions
from .retrieval import recall_at_1
from .ways import WAYS, Score, evaluate, needs_own_model, question_pictures, ways_of


__all__ = [
    "DISTURBANCES",
    "WAYS",
    "Question",
    "Score",
    "evaluate",
    "exact_match",
    "load_questions",
    "needs_own_model",
    "question_pictures",
    "recall_at_1",
    "ways_of",
]
