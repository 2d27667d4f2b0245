"""Continuous memory for vision-language models, native to Hugging Face transformers."""

import importlib
from typing import TYPE_CHECKING

from . import registration


if TYPE_CHECKING:
    from .bank import MemoryBank, MemoryHit
    from .modeling import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor, MemoryItem


__version__ = "0.1.0"

__all__ = [
    "CoMemConfig",
    "CoMemForConditionalGeneration",
    "CoMemProcessor",
    "MemoryBank",
    "MemoryHit",
    "MemoryItem",
]

registration.register()


def __getattr__(name: str):
    # torch, transformers, FAISS and Arrow come with what needs them, and the command line can say its help without.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = importlib.import_module(".bank" if name in ("MemoryBank", "MemoryHit") else ".modeling", __name__)
    globals()[name] = value = getattr(package, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
