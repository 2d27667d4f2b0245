"""Reports: scores with intervals, differences between ways, plots, and the block for a model card."""
