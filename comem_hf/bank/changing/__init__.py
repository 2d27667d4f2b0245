"""Changing a bank, and merging several banks into one."""
