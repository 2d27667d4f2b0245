"""Some of a bank's items: those that a search may find, or that are listed."""
