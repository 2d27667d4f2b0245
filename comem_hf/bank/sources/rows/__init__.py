"""Rows of any source: read, cleaned, and made into items."""
