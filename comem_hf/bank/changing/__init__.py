"""Making another state of a bank, or one bank of several."""
