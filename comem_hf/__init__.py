"""Continuous memory for vision-language models, native to Hugging Face transformers."""

import importlib
from typing import TYPE_CHECKING

from . import registration


if TYPE_CHECKING:
    from .bank import MemoryBank, MemoryHit
    from .modeling import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor, MemoryItem
    from .pipeline import MemoryImageTextToTextPipeline


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

_ELSEWHERE = {"MemoryBank": ".bank", "MemoryHit": ".bank", "MemoryImageTextToTextPipeline": ".pipeline"}

registration.register()


def __getattr__(name: str):
    # torch, transformers, FAISS and Arrow come with what needs them, and the command line can say its help without.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = importlib.import_module(_ELSEWHERE.get(name, ".modeling"), __name__)
    globals()[name] = value = getattr(package, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
