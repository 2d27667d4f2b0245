"""Batches made of rows: what is drawn at random, what takes the place of what cannot be used, the collator."""
