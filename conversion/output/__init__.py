"""The output of conversions and exports: folders, shards, reports."""
