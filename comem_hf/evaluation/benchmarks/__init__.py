"""The benchmarks of the CoMEM paper, read from the files that their authors publish."""
