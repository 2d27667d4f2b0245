"""A bank that is open: searched, read, checked."""
