"""Configuration, memory encoder, model and processor; self-contained, so that a Hub repository can carry them."""

import importlib
import threading
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from .configuration_comem import CoMemConfig
    from .memory_inputs import MemoryInputs
    from .memory_item import MemoryItem
    from .modeling_comem import CoMemForConditionalGeneration
    from .processing_comem import CoMemProcessor

__all__ = ["CoMemConfig", "CoMemForConditionalGeneration", "CoMemProcessor", "MemoryInputs", "MemoryItem"]

_FILES = {
    "CoMemConfig": "configuration_comem",
    "CoMemForConditionalGeneration": "modeling_comem",
    "CoMemProcessor": "processing_comem",
    "MemoryInputs": "memory_inputs",
    "MemoryItem": "memory_item",
}

# transformers' lazy imports fail when threads are in them together; these files never come back here for each other.
_one_at_a_time = threading.RLock()


def __getattr__(name: str):
    # One file at a time: the model brings PEFT, which neither the configuration nor the items need.
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _one_at_a_time:
        globals()[name] = value = getattr(importlib.import_module(f".{_FILES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
