"""Where a layer's weights are, and where it computes: quantized, offloaded or spread over devices."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn


BESIDE_BACKBONE = ("memory_encoder", "reader_adapter", "ffn_memory", "vision_memory", "reader")
"""Parts of the model that are placed with its backbone."""


def is_quantized(module: nn.Module) -> bool:
    """Whether a layer's own weights are in a quantized format."""
    return any(
        type(parameter) is not nn.Parameter or not parameter.is_floating_point()
        for parameter in module.parameters(recurse=False)
    )


def is_offloaded(module: nn.Module) -> bool:
    """Whether accelerate keeps a layer's own weights elsewhere and fetches them for each call."""
    return bool(getattr(getattr(module, "_hf_hook", None), "offload", False)) and not any(module.children())


def execution_device(module: nn.Module) -> torch.device:
    """Return the device on which a layer computes; offloaded weights are on another device."""
    device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
    if device is not None:
        return torch.device(device)
    return next(module.parameters()).device  # not `module.weight`, which ZeRO-3 would gather on all processes


def place_module(module: nn.Module, device: torch.device, dtype: torch.dtype):
    """Move a module and cast it; one that is on the meta device gets memory instead, for numbers that are loaded."""
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        module.to(dtype=dtype).to_empty(device=device)
    else:
        module.to(device=device, dtype=dtype)


def fetch_offloaded(
    model: nn.Module, tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor | Callable[[], torch.Tensor]]:
    """Return a model's named tensors; in place of offloaded tensors, functions that fetch them."""
    fetchers = {}
    for name, layer in model.named_modules():
        if is_offloaded(layer):
            for leaf, _ in layer.named_parameters():
                fetchers[f"{name}.{leaf}"] = partial(layer._hf_hook.weights_map.__getitem__, leaf)
    return {name: fetchers.get(name, tensor) for name, tensor in tensors.items()}


def part_of_device_map(device_map: Any) -> Any:
    """Return the backbone's part of a `device_map` for the whole model; what is beside it goes with the backbone."""
    if not isinstance(device_map, dict):
        return device_map
    backbone = {name: device for name, device in device_map.items() if name.split(".")[0] not in BESIDE_BACKBONE}
    return {name.removeprefix("backbone").removeprefix("."): device for name, device in backbone.items()}


def readers_part_of_device_map(device_map: Any) -> Any:
    """Return a text-only reader's part of a `device_map`; if nothing is said of it, it goes to the first device."""
    if not isinstance(device_map, dict):
        return device_map
    prefix = "reader.language_model"
    part = {name.removeprefix(prefix).removeprefix("."): to for name, to in device_map.items() if prefix in name}
    whole = device_map.get("reader", next(iter(device_map.values()), "cpu"))
    return part or {"": whole}


__all__ = [
    "BESIDE_BACKBONE",
    "execution_device",
    "fetch_offloaded",
    "is_offloaded",
    "is_quantized",
    "part_of_device_map",
    "place_module",
    "readers_part_of_device_map",
]
