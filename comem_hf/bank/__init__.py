"""Memory banks: items with stored memory vectors, found by an index."""

from .bank import MemoryBank
from .config import BankConfig
from .embedder import BackboneEmbedder, Embedder, ModelEmbedder
from .hit import MemoryHit


__all__ = ["BackboneEmbedder", "BankConfig", "Embedder", "MemoryBank", "MemoryHit", "ModelEmbedder"]
