"""The numbers of a report: scores of answers, and how certain they are."""
