"""Cards of what is released, and the templates `model.md` and `bank.md` that others are made from."""
