"""The terms on which questions are put: the prompt, the pictures, the settings of generation."""
