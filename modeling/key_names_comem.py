"""The names of tensors in a checkpoint and in the model."""

import re
from collections.abc import Mapping
from typing import TypeVar

from .resampler_comem import CHECKPOINT_NAMES


Value = TypeVar("Value")

RESAMPLER = "memory_encoder.resampler."
# Where the factors of an adapter are in the model, and in a checkpoint: there under the names of their layers.
ADAPTERS = {
    "memory_encoder.adapter.factors.": "memory_encoder.model.",
    "reader_adapter.factors.": "reader_adapter.",
}
PROJECTIONS = re.compile(rf"\b({'|'.join(CHECKPOINT_NAMES)})\b")


def to_checkpoint_key(name: str) -> str:
    """Return the key that a tensor of the model has in checkpoints."""
    if name.startswith(RESAMPLER):
        return PROJECTIONS.sub(lambda match: CHECKPOINT_NAMES[match[1]], name)
    for ours, stored in ADAPTERS.items():
        if name.startswith(ours):  # `.../layers/0/self_attn/q_proj/A`
            layer, _, half = name.removeprefix(ours).replace("/", ".").rpartition(".")
            return f"{stored}{layer}.lora_{half}.weight"
    # An adapter beside a layer, ours or PEFT's, holds the layer under this name.
    return name.replace(".base_layer.", ".") if name.startswith("backbone.") else name


def to_checkpoint_keys(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Return a state dict with the keys that checkpoints have."""
    return {to_checkpoint_key(name): value for name, value in tensors.items()}


__all__ = ["to_checkpoint_key", "to_checkpoint_keys"]
