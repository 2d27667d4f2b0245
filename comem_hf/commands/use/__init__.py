"""Commands that ask, search and score."""
