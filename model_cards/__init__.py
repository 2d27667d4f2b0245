"""Cards of what is released, and `model.md`, which others are made from."""
