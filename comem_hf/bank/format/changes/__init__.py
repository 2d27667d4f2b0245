"""What has changed in the rows of a bank since its shards were written."""
