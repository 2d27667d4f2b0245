"""A page to try a model and its memory bank in a browser: what `comem app` serves."""

from .comparison import Comparer, Comparison
from .server import serve


__all__ = ["Comparer", "Comparison", "serve"]
