"""`comem evaluate NAME...`: benchmarks, answered in three ways and scored, with a report."""
