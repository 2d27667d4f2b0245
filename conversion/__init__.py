"""Published checkpoints in, checkpoints of this package out."""

from .convert import ConversionReport, convert_checkpoint


__all__ = ["ConversionReport", "convert_checkpoint"]
