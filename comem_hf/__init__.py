"""Continuous memory for vision-language models, native to Hugging Face transformers."""

from typing import TYPE_CHECKING

from . import registration  # noqa: F401 (its import registers the package)
from .lazy_names import lazy_names


if TYPE_CHECKING:
    from .bank import MemoryBank, MemoryHit
    from .modeling import (
        CoMemConfig,
        CoMemForConditionalGeneration,
        CoMemProcessor,
        MemoryImageTextToTextPipeline,
        MemoryItem,
    )


__version__ = "0.1.0"

__all__ = [
    "CoMemConfig",
    "CoMemForConditionalGeneration",
    "CoMemProcessor",
    "MemoryBank",
    "MemoryHit",
    "MemoryImageTextToTextPipeline",
    "MemoryItem",
]

# Modules are imported on first use, so that `comem --help` does not load torch, transformers, FAISS and Arrow.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CoMemConfig": ".modeling",
        "CoMemForConditionalGeneration": ".modeling",
        "CoMemProcessor": ".modeling",
        "MemoryBank": ".bank",
        "MemoryHit": ".bank",
        "MemoryImageTextToTextPipeline": ".modeling",
        "MemoryItem": ".modeling",
    },
)
