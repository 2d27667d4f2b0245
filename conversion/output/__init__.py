"""What is written: folders, shards, reports."""
