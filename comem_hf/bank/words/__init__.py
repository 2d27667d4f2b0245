"""Items found by the words of their texts: BM25, which needs no model."""
