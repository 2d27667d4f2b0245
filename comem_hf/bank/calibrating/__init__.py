"""Fitting the probabilities of hits to the pictures of a bank."""
