"""What visitors may send and reach."""
