"""How pictures of banks are read: by which rules, and with which warnings."""
