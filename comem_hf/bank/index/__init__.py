"""From embeddings to rows: the search index, and how one is chosen and built."""
