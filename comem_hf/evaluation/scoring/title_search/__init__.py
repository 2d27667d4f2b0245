"""Titles of Wikipedia searched by BM25, as OVEN's evaluators do."""

from .titles import TitleHit, TitleSearch


__all__ = ["TitleHit", "TitleSearch"]
