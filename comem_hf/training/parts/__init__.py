"""The parts of a model that training may change, and what they learn from."""
