"""Facts about a model that cards and `comem info` state."""
