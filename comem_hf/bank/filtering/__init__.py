"""The filter language of `where`: conditions on the metadata of items, and how they are evaluated."""
