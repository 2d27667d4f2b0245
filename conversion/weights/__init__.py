"""The memory encoder's weights, as an adapter or as full weights, made from either form."""
