"""Checks of training data before the first step."""
