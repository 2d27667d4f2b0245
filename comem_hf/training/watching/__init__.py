"""What is watched during a training run: that losses are numbers, and their curve."""
