"""What a synthesis writes: rows, pictures, and the card."""
