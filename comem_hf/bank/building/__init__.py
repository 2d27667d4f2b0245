"""Making a bank of items, by one process or several, resumed where it was interrupted."""
