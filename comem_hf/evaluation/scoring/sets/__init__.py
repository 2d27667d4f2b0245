"""A set of answers: paired with their questions, and averaged."""
