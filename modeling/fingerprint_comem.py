"""Hashes by which models are told apart."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from .configuration_comem import RESAMPLER_DEFAULTS, CoMemConfig
from .placement_comem import fetch_offloaded
from .sharded_weights_comem import is_part, whole_tensor


PIECE = 2**24  # elements
WITHOUT_CHECKSUM = "weights that are quantized, or in float16 but published in float32"
# Settings that decide a tower's output and do not follow from its weights' shapes.
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


# Settings that came later: where they have their default, the fingerprint is the one from before.
LATER_RESAMPLER_SETTINGS = ("kind", "hidden_layers")


def settings_of_memory(config: CoMemConfig) -> dict[str, Any]:
    """Return the settings that decide, together with the weights, which vectors an item gets."""
    text, vision = config.backbone_config.get_text_config(), config.backbone_config.vision_config
    return {
        "backbone": config.backbone_config.model_type,
        "text": {name: getattr(text, name, None) for name in TEXT_SETTINGS},
        "vision": {name: getattr(vision, name, None) for name in VISION_SETTINGS},
        "num_memory_tokens": config.num_memory_tokens,
        "resampler": {
            name: value
            for name, value in config.resampler_config.items()
            if name not in LATER_RESAMPLER_SETTINGS or value != RESAMPLER_DEFAULTS[name]
        },
        "encoder": config.encoder,
        "lora": {key: config.lora_config[key] for key in ("r", "lora_alpha", "rank_pattern", "alpha_pattern")},
    }


def fingerprint(
    tensors: dict[str, torch.Tensor | Callable[[], torch.Tensor]],
    settings: dict[str, Any] | None = None,
    roundings: tuple[torch.dtype, ...] = (torch.bfloat16,),
) -> str:
    """Return a SHA-256 of settings and of named tensors, by default rounded to bfloat16.

    With this rounding a model has the same fingerprint in float32 and in bfloat16. Functions that fetch tensors are
    called one at a time.

    Args:
        tensors (`dict`): Tensors, or functions that fetch them, by name.
        settings (`dict`, *optional*): Settings that are part of the fingerprint.
        roundings (`tuple[torch.dtype]`, *optional*, defaults to `(torch.bfloat16,)`): Types to which numbers are
            rounded, one after the other; without any, every bit counts.
    """
    digest = hashlib.sha256(json.dumps(settings or {}, sort_keys=True).encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(key.encode())
        for piece in _pieces(tensor):
            for dtype in roundings:
                piece = piece.to("cpu", dtype)
            digest.update(piece.cpu().view(torch.uint8).numpy())
    return digest.hexdigest()


def backbone_checksum(backbone: PreTrainedModel, exact: bool = False) -> str | None:
    """Return a SHA-256 of a backbone's weights, the same in float32, bfloat16 and float16.

    Numbers count as rounded to bfloat16, then to float16, like those of a backbone that was published in bfloat16 and
    loaded in float16. `None` if this is impossible: weights are quantized, still on the meta device, spread over
    processes, or in float16 and finer than bfloat16, since they were rounded from float32. With `exact`, every bit of
    the weights counts, and all of them must be loaded and not offloaded; if they are spread over processes, all of
    these must call this at the same time.
    """
    if exact:
        return fingerprint(_own_parameters(dict(backbone.named_parameters())), roundings=())
    if getattr(backbone, "hf_quantizer", None) is not None:
        return None
    parameters = _own_parameters(fetch_offloaded(backbone, dict(backbone.named_parameters())))
    if any(not callable(value) and (value.is_meta or is_part(value)) for value in parameters.values()):
        return None
    return checksum(parameters, backbone.dtype)


def checksum(tensors: dict[str, torch.Tensor | Callable[[], torch.Tensor]], dtype: torch.dtype) -> str | None:
    """Return the [`backbone_checksum`] of a backbone of the type `dtype`, given its tensors or functions for them."""
    if dtype == torch.float16 and not all(map(_is_rounded_to_bfloat16, tensors.values())):
        return None
    return fingerprint(tensors, roundings=(torch.bfloat16, torch.float16))


def _own_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Leave out adapters on a backbone, ours and PEFT's."""
    return {name.replace(".base_layer.", "."): value for name, value in parameters.items() if ".lora_" not in name}


def _is_rounded_to_bfloat16(tensor: torch.Tensor | Callable[[], torch.Tensor]) -> bool:
    return all(torch.equal(piece.bfloat16().to(piece.dtype), piece) for piece in _pieces(tensor))


def _pieces(tensor: torch.Tensor | Callable[[], torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return all numbers in pieces, so that no tensor is held in memory twice."""
    tensor = tensor() if callable(tensor) else whole_tensor(tensor)
    return tensor.detach().flatten().split(PIECE)


__all__ = ["WITHOUT_CHECKSUM", "backbone_checksum", "checksum", "fingerprint", "settings_of_memory"]
