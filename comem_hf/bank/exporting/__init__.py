"""Items of a bank as files that any program reads."""
