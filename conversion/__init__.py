"""Published checkpoints in, checkpoints of this package out."""

from .adapter_folder import export_adapter
from .convert import convert_checkpoint
from .merge import merge_encoder
from .report import ConversionReport


__all__ = ["ConversionReport", "convert_checkpoint", "export_adapter", "merge_encoder"]
