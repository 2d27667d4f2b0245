"""The memory encoder's weights in either form, made from either form."""
