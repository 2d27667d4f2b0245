"""Memory banks: items with stored memory vectors, found by an index."""

from typing import TYPE_CHECKING

from comem_hf.lazy_names import lazy_names


if TYPE_CHECKING:
    from comem_hf.bank.encoding.embedder import BackboneEmbedder, Embedder, ModelEmbedder
    from comem_hf.bank.format.config import BankConfig
    from comem_hf.bank.opened.hit import MemoryHit

    from .bank import MemoryBank


__all__ = ["BackboneEmbedder", "BankConfig", "Embedder", "MemoryBank", "MemoryHit", "ModelEmbedder"]

# A bank's configuration can be read without FAISS, Arrow and the model, which a bank needs.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BackboneEmbedder": ".encoding.embedder",
        "BankConfig": ".format.config",
        "Embedder": ".encoding.embedder",
        "MemoryBank": ".bank",
        "MemoryHit": ".opened.hit",
        "ModelEmbedder": ".encoding.embedder",
    },
)
