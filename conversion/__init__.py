"""Conversion of published checkpoints to checkpoints of this package, and exports from these."""

from comem_hf.conversion.output.report import ConversionReport

from .convert import convert_checkpoint
from .export_adapter import export_adapter
from .merge_encoder import merge_encoder


__all__ = ["ConversionReport", "convert_checkpoint", "export_adapter", "merge_encoder"]
