"""What a batch holds beside its rows: items and orders drawn at random, and requests to repeat items."""
