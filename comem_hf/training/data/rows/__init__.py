"""Rows of training data in the forms that people have them."""
