"""The page of `comem app`, to try a model and its memory bank in a browser."""

from .comparison import Comparer, Comparison
from .server import serve


__all__ = ["Comparer", "Comparison", "serve"]
