"""The retrieval records of the CoMEM release, and predictions that other code made."""

from .predictions import load_predictions
from .retrieved import RetrievalRecords, load_records


__all__ = ["RetrievalRecords", "load_predictions", "load_records"]
