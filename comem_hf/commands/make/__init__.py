"""Commands that make banks and models."""
