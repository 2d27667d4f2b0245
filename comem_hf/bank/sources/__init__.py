"""Where items come from: each source gives them lazily, one after the other."""
