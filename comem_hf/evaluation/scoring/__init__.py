"""Two scorers for each benchmark: the benchmark's own, and that of the CoMEM release."""
