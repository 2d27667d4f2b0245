"""What training minimises beside the cross-entropy of the answers."""
