"""The retrieval records of the CoMEM release, and predictions that other code made."""
