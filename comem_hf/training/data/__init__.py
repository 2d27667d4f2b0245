"""From files and rows to batches."""
