"""Checks of visitors' requests and pictures."""
