"""Published checkpoints in, checkpoints of this package out."""

from .convert import convert_checkpoint
from .report import ConversionReport


__all__ = ["ConversionReport", "convert_checkpoint"]
