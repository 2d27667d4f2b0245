"""The settings of a synthesis: in Python, or from a YAML file."""
