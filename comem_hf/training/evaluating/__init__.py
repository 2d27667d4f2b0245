"""Evaluation while a model is trained."""
