"""What the score of a hit means: the probability that it shows the same thing as the query."""
