"""Scoring a model with a memory bank against the same questions without memory and with the items in the prompt."""

from .disturbances import DISTURBANCES
from .questions import Question, exact_match, load_questions
from .retrieval import recall_at_1
from .ways import WAYS, Score, evaluate


__all__ = ["DISTURBANCES", "WAYS", "Question", "Score", "evaluate", "exact_match", "load_questions", "recall_at_1"]
