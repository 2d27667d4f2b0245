"""Configuration, memory encoder, model and processor; self-contained, so that a Hub repository can carry them."""

from .configuration_comem import CoMemConfig
from .memory_inputs import MemoryInputs
from .memory_item import MemoryItem
from .modeling_comem import CoMemForConditionalGeneration
from .processing_comem import CoMemProcessor


__all__ = ["CoMemConfig", "CoMemForConditionalGeneration", "CoMemProcessor", "MemoryInputs", "MemoryItem"]
