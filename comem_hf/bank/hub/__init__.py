"""Banks in repositories of the Hub."""
