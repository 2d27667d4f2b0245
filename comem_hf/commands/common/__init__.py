"""Functions that several commands share: loading, printing, questions, times."""
