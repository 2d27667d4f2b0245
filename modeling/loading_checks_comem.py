"""Checks of a loaded model: no tensor is missing, none is left over, and the backbone is the right one."""

import os
from collections.abc import Iterable
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from .fingerprint_comem import WITHOUT_CHECKSUM, backbone_checksum


TEXT_SHAPE = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "vocab_size",
)
VISION_SHAPE = (
    "depth",
    "embed_dim",
    "hidden_size",
    "in_channels",
    "intermediate_size",
    "mlp_ratio",
    "num_heads",
    "out_hidden_size",
    "patch_size",
    "spatial_merge_size",
    "temporal_patch_size",
)

# Fields of the configuration without which a model has no such tensors.
SITES = (
    ("ffn_memory.", "ffn_memory_config"),
    ("vision_memory.", "vision_memory_config"),
    ("reader.", "reader_config"),
    ("reader_adapter.", "reader_lora_config"),
)

logger = logging.get_logger(__name__)


def refuse_keys(source: str | os.PathLike, missing: Iterable[str], unexpected: Iterable[str]):
    """Raise a `ValueError` if there are missing or unexpected keys."""
    missing, unexpected = sorted(missing), sorted(unexpected)
    for held, kind, lost, kept in (
        ("an adapter", "adapter", missing, unexpected),
        ("an encoder's own weights", "separate", unexpected, missing),
    ):
        if any(map(_is_encoders_own, lost)) and any(".lora_" in key for key in kept):
            raise ValueError(f"{source} holds {held}, so `encoder` must be {kind!r}.")
    fields = [field for start, field in SITES if any(key.startswith(start) for key in unexpected)]
    hint = f" (does its configuration lack `{fields[0]}`?)" if fields and not missing else ""
    for what, keys in (("lacks", missing), ("has unknown", unexpected)):
        if keys:
            some = ", ".join(keys[:4])
            raise ValueError(
                f"{source} {what} tensors, {len(keys)} in all, such as {some}{hint}; the model was not loaded."
            )


def refuse_loading_errors(source: str | os.PathLike, info: dict[str, Any], prefix: str = ""):
    """Raise a `ValueError` for the first error in the loading info of `from_pretrained`."""
    refuse_keys(
        source, (prefix + key for key in info["missing_keys"]), (prefix + key for key in info["unexpected_keys"])
    )
    for key, given, needed in sorted(info["mismatched_keys"]):
        raise ValueError(
            f"`{prefix}{key}` in {source} has shape {tuple(given)}, but this model needs {tuple(needed)}."
        )


def refuse_bad_numbers(source: str | os.PathLike, tensors: dict[str, torch.Tensor]):
    """Raise a `ValueError` if a tensor holds NaN or infinity."""
    for key, tensor in tensors.items():
        # A finite sum has no NaN and no infinity in it; it is forty times as fast as a look at each number.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise ValueError(f"`{key}` in {source} holds values that are not finite; train or convert it again.")


def refuse_other_shape(expected: PreTrainedConfig, given: PreTrainedConfig, source: str | os.PathLike):
    """Raise a `ValueError` if the given backbone has another shape than the expected one; it says what differs."""
    expected, given = _shape(expected), _shape(given)
    different = [
        f"{name} is {given.get(name)}, not {value}" for name, value in expected.items() if given.get(name) != value
    ]
    if different:
        raise ValueError(f"{source} was made for another backbone: in the given backbone, {'; '.join(different)}.")


def refuse_other_weights(expected: str | None, backbone: PreTrainedModel, source: str | os.PathLike):
    """Raise a `ValueError` if the backbone's weights have another checksum; warn if they cannot be compared."""
    given = None if expected is None else backbone_checksum(backbone)
    if given is None:
        why = "it was saved without a checksum" if expected is None else f"there is no checksum of {WITHOUT_CHECKSUM}"
        logger.warning(f"Only shapes were compared to check that {source} was made for this backbone: {why}.")
    elif given != expected:
        raise ValueError(
            f"{source} was made for a backbone with the checksum {expected}, but the weights of `backbone` have "
            f"{given}."
        )


def _is_encoders_own(key: str) -> bool:
    return key.startswith("memory_encoder.model.") and ".lora_" not in key


def _shape(config: PreTrainedConfig) -> dict[str, Any]:
    text, vision = config.get_text_config(), config.vision_config
    shape = {"model_type": config.model_type}
    shape |= {f"text_config.{name}": getattr(text, name) for name in TEXT_SHAPE}
    shape["text_config.head_dim"] = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return shape | {f"vision_config.{name}": getattr(vision, name, None) for name in VISION_SHAPE}


__all__ = [
    "refuse_bad_numbers",
    "refuse_keys",
    "refuse_loading_errors",
    "refuse_other_shape",
    "refuse_other_weights",
]
