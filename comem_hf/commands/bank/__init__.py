"""`comem bank`: commands that change a memory bank, or read its items."""
