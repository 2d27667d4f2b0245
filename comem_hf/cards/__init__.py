"""Cards of models and memory banks: written, checked, and never over one that somebody has edited."""

from .check import check_card
from .model_card import render_model_card
from .results import Results


__all__ = ["Results", "check_card", "render_model_card"]
