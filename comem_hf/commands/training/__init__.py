"""Commands that train memory, or make data for it."""
