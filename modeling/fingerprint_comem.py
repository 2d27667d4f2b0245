"""Hashes that tell one model from another."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from .configuration_comem import CoMemConfig
from .placement_comem import fetch_offloaded


PIECE = 2**24  # elements
# What decides a tower's output beside its weights, whose shapes tell the rest.
TEXT_SETTINGS = (
    "hidden_act",
    "layer_types",
    "max_window_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "rms_norm_eps",
    "rope_parameters",
    "sliding_window",
)
VISION_SETTINGS = (
    "fullatt_block_indexes",
    "hidden_act",
    "num_heads",
    "patch_size",
    "spatial_merge_size",
    "temporal_patch_size",
    "tokens_per_second",
    "window_size",
)


def settings_of_memory(config: CoMemConfig) -> dict[str, Any]:
    """Returns the settings that decide, together with the weights, which vectors an item gets."""
    text, vision = config.get_text_config(), config.backbone_config.vision_config
    return {
        "backbone": config.backbone_config.model_type,
        "text": {name: getattr(text, name, None) for name in TEXT_SETTINGS},
        "vision": {name: getattr(vision, name, None) for name in VISION_SETTINGS},
        "num_memory_tokens": config.num_memory_tokens,
        "resampler": config.resampler_config,
        "encoder": config.encoder,
        "lora": {key: config.lora_config[key] for key in ("r", "lora_alpha", "rank_pattern", "alpha_pattern")},
    }


def fingerprint(
    tensors: dict[str, torch.Tensor | Callable[[], torch.Tensor]], settings: dict[str, Any] | None = None
) -> str:
    """
    Returns a SHA-256 of settings and of named tensors, rounded to bfloat16, so that a model has one fingerprint in
    float32 and in bfloat16. Of tensors that are given as functions, one at a time is fetched.
    """
    digest = hashlib.sha256(json.dumps(settings or {}, sort_keys=True).encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(key.encode())
        tensor = tensor() if callable(tensor) else tensor
        for piece in tensor.detach().flatten().split(PIECE):  # so that nothing is ever held twice
            digest.update(piece.to("cpu", torch.bfloat16).view(torch.int16).numpy())
    return digest.hexdigest()


def backbone_checksum(backbone: PreTrainedModel) -> str | None:
    """Returns a SHA-256 of a backbone's weights; `None` if they are quantized, in float16 or not there yet."""
    # Weights in float16 are rounded otherwise than the same in bfloat16.
    if getattr(backbone, "hf_quantizer", None) is not None or backbone.dtype == torch.float16:
        return None
    parameters = fetch_offloaded(backbone, dict(backbone.named_parameters()))
    if any(not callable(value) and value.is_meta for value in parameters.values()):
        return None
    return fingerprint(parameters)


__all__ = ["backbone_checksum", "fingerprint", "settings_of_memory"]
