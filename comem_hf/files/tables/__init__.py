"""Rows of CSV, JSON and Parquet files and of tables in memory, one after the other, as they are stored."""
