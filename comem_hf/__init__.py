"""Continuous memory for vision-language models, native to Hugging Face transformers."""

from typing import TYPE_CHECKING

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from .modeling import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor, MemoryItem


if TYPE_CHECKING:
    from .bank import MemoryBank, MemoryHit


__version__ = "0.1.0"

AutoConfig.register("comem", CoMemConfig, exist_ok=True)
AutoModel.register(CoMemConfig, CoMemForConditionalGeneration, exist_ok=True)
AutoModelForImageTextToText.register(CoMemConfig, CoMemForConditionalGeneration, exist_ok=True)
AutoProcessor.register(CoMemConfig, CoMemProcessor, exist_ok=True)


def _write_card(model, folder, repo_id: str, own_card: str | None) -> None:
    from .cards.model_card import write_model_card

    write_model_card(model, folder, repo_id, own_card)


CoMemForConditionalGeneration.card_writer = _write_card


def __getattr__(name: str):
    # The bank brings FAISS and Arrow, which the model alone does not need.
    if name in ("MemoryBank", "MemoryHit"):
        from . import bank

        return getattr(bank, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CoMemConfig",
    "CoMemForConditionalGeneration",
    "CoMemProcessor",
    "MemoryBank",
    "MemoryHit",
    "MemoryItem",
]
