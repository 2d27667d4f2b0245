"""What a training run gives: a model's folder, saved and pushed."""
