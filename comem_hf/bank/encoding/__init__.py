"""From items to memory vectors and embeddings."""
