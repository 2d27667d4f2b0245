"""The questions of a benchmark put to a model: without items, with items in the prompt, with memory."""
