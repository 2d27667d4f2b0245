"""The names of tensors in a checkpoint and in the model."""

import re

from .adapter_comem import ADAPTER_NAME


# Keys in checkpoints leave out the adapter's name: `...q_proj.lora_A.weight`.
KEY_MAPPING = {rf"\.lora_{half}\.weight": f".lora_{half}.{ADAPTER_NAME}.weight" for half in "AB"}


def to_checkpoint_keys(tensors: dict[str, object]) -> dict[str, object]:
    """Return a state dict with the keys that checkpoints have."""
    return {key.replace(f".{ADAPTER_NAME}.weight", ".weight"): value for key, value in tensors.items()}


def to_module_key(key: str) -> str:
    """Return the name in the model for a tensor's name in a checkpoint; a name in the model stays as it is."""
    return re.sub(r"\.lora_([AB])\.weight$", rf".lora_\1.{ADAPTER_NAME}.weight", key)


__all__ = ["KEY_MAPPING", "to_checkpoint_keys", "to_module_key"]
