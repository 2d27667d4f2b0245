"""What several commands need: loading, printing, questions, times."""
