"""LoRA on the backbone's own weights, which never change."""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import PreTrainedModel

from .configuration_comem import CoMemConfig
from .placement_comem import execution_device, is_offloaded, is_quantized


if TYPE_CHECKING:
    # PEFT imports transformers, whose import may end by importing this file: then PEFT is only half imported.
    from peft.tuners.lora import LoraLayer


# PEFT inserts the name of the adapter into its keys; checkpoints leave it out.
ADAPTER_NAME = "default"


def share_weights(model: nn.Module) -> nn.Module:
    """Copy a model's modules but not its weights: the parameters of the copy *are* those of the original.

    The copy has its own hooks, flags and caches. So two threads cannot disturb each other, nor can the recomputation
    of a checkpointed encoding pass disturb the backward pass of answering.
    """
    # transformers itself ties weights on the meta device once they are loaded; if they were shared before, a missing
    # weight would count as loaded.
    shared = [parameter for parameter in model.parameters() if not parameter.is_meta]
    # Quantized and offloaded layers hold more than their parameters and may replace these; they are shared whole.
    shared += [module for module in model.modules() if is_quantized(module) or is_offloaded(module)]
    shared += [module._hf_hook for module in model.modules() if hasattr(module, "_hf_hook")]
    return copy.deepcopy(model, memo={id(part): part for part in shared})


def add_lora(model: PreTrainedModel, config: CoMemConfig) -> PreTrainedModel:
    """Wrap the linear layers of `model` in PEFT's LoRA layers, in place.

    Args:
        model ([`~transformers.PreTrainedModel`]): Text model and vision tower, as made by [`share_weights`].
        config ([`CoMemConfig`]): Its `lora_config` holds the settings.
    """
    from peft import LoraConfig, inject_adapter_in_model

    settings = dict(config.lora_config)
    # Full names, so that no suffix matches elsewhere.
    settings["target_modules"] = settings["target_modules"] or linear_layer_names(model)
    inject_adapter_in_model(LoraConfig(**settings), model, adapter_name=ADAPTER_NAME)
    for name, module in model.named_modules():
        if "lora_" in name and isinstance(module, nn.Linear):
            # PEFT initialises adapters as the identity; transformers must not initialise them again.
            module._is_hf_initialized = True
    return model


def lora_layers(model: nn.Module) -> Iterator[tuple[str, "LoraLayer"]]:
    """Yield the LoRA layers of an adapted model by name."""
    from peft.tuners.lora import LoraLayer

    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer))


def lora_factors(layer: "LoraLayer") -> tuple[nn.Linear, nn.Linear, float]:
    """Return a layer's factors A `(rank, in)` and B `(out, rank)`, and the scale of their product B A."""
    return layer.lora_A[ADAPTER_NAME], layer.lora_B[ADAPTER_NAME], layer.scaling[ADAPTER_NAME]


def lora_change(layer: "LoraLayer") -> torch.Tensor:
    """Return the matrix that the adapter adds to a layer's weight, `(out, in)`, in float32."""
    a, b, scale = lora_factors(layer)
    return scale * (b.weight.detach().float() @ a.weight.detach().float())


def place_lora(model: nn.Module, dtype: torch.dtype):
    """Move each LoRA layer's factors to where its base layer computes, in the type `dtype`; leave buffers alone."""
    for _, layer in lora_layers(model):
        device = execution_device(layer.get_base_layer())
        for factor in lora_factors(layer)[:2]:
            if factor.weight.is_meta:  # PEFT puts the factors of offloaded layers there
                factor.to_empty(device=device)
            factor.to(device=device, dtype=dtype)


def linear_layer_names(model: nn.Module) -> list[str]:
    """Return the names of all linear layers in a backbone's `.model`: text model and vision tower, not `lm_head`."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def shared_weight_keys(adapted: nn.Module, prefix: str, source_prefix: str) -> dict[str, str]:
    """Map each tensor that an adapted copy shares to its place in the original, in the form of `_tied_weights_keys`.

    Args:
        adapted (`torch.nn.Module`): The copy, with LoRA layers.
        prefix (`str`): Where the copy sits in the whole model, with a final dot.
        source_prefix (`str`): Where the original sits, with a final dot.
    """
    names = (name for name, _ in adapted.named_parameters(remove_duplicate=False) if ".lora_" not in name)
    return {prefix + name: source_prefix + name.replace(".base_layer.", ".") for name in names}


__all__ = [
    "add_lora",
    "linear_layer_names",
    "lora_change",
    "lora_factors",
    "lora_layers",
    "place_lora",
    "share_weights",
    "shared_weight_keys",
]
