"""Texts as evaluators read them: answers found in them, normalized, compared."""
