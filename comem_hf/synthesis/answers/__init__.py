"""What the teacher answers: the backbone itself, with items in its prompt."""
