"""Configuration, memory encoder, model and processor; self-contained, so that a Hub repository can carry them."""

# First: where `comem_hf` is registered with transformers (comem_hf/registration.py), this import ends by importing all
# files below, and at that moment none of them may be half imported.
import transformers  # noqa: F401, I001

from .configuration_comem import CoMemConfig
from .memory_inputs import MemoryInputs
from .memory_item import MemoryItem
from .modeling_comem import CoMemForConditionalGeneration
from .pipeline_comem import MemoryImageTextToTextPipeline
from .processing_comem import CoMemProcessor


__all__ = [
    "CoMemConfig",
    "CoMemForConditionalGeneration",
    "CoMemProcessor",
    "MemoryImageTextToTextPipeline",
    "MemoryInputs",
    "MemoryItem",
]
