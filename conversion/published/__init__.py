"""Reading what was published: layouts, key names, files, and whether parts belong together."""
