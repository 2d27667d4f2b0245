"""Cards of models and memory banks: writing and checking them, without overwriting edited ones."""

from .check import check_card
from .model_card import render_model_card
from .results import Results


__all__ = ["Results", "check_card", "render_model_card"]
