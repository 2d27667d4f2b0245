"""Where rows of training data come from."""
