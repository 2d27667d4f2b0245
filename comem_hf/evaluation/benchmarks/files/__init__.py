"""The files of benchmarks: rows of JSONL, JSON, CSV and Parquet, and the pictures beside and inside them."""
