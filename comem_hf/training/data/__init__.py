"""Training data: reads samples from files and rows, and makes batches of them."""
