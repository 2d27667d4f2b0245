"""Measurements: run from the repository's root, as `python -m benchmarks.speed.first_token`."""
