"""Memory banks: items with stored memory vectors, found by an index."""

import importlib
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from .bank import MemoryBank
    from .config import BankConfig
    from .embedder import BackboneEmbedder, Embedder, ModelEmbedder
    from .hit import MemoryHit


__all__ = ["BackboneEmbedder", "BankConfig", "Embedder", "MemoryBank", "MemoryHit", "ModelEmbedder"]

_FILES = {"MemoryBank": "bank", "BankConfig": "config", "MemoryHit": "hit"}


def __getattr__(name: str):
    # A bank brings FAISS, Arrow and the model, which its configuration does not need.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_FILES.get(name, 'embedder')}", __name__)
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
