"""Weights that are spread over processes: FSDP2's and DeepSpeed ZeRO-3's."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


class GatherOnThisWay:
    """Two hooks of a layer that computes with another layer's weights: they gather these, and spread them again.

    FSDP2 gathers the weights of a layer when that layer is called. The encoder's way leads through a copy of it, whose
    leaf modules are the layer's own. (ZeRO-3 gathers weights when a leaf module is called, on any way.)

    Args:
        layers (`nn.ModuleList`): The layers that have the weights.
        index (`int`): The number of the layer among them; the layer itself may be replaced by one of the same parts.
    """

    def __init__(self, layers: nn.ModuleList, index: int):
        self.layers = layers
        self.index = index

    def before(self, copy_of_layer: nn.Module, args: tuple):
        """Gather before the copy runs, and spread when the backward pass has been through it."""
        layer = self._sharded_layer()
        if layer is not None:
            layer.unshard()
            if args[0].requires_grad:
                args[0].register_hook(lambda gradient: _only(layer.reshard))

    def after(self, copy_of_layer: nn.Module, args: tuple, output: Any):
        """Spread after the copy has run, and gather when the backward pass comes to it."""
        layer = self._sharded_layer()
        if layer is not None:
            layer.reshard()
            states = output[0] if isinstance(output, tuple) else output
            if states.requires_grad:
                states.register_hook(lambda gradient: _only(layer.unshard))

    def _sharded_layer(self) -> nn.Module | None:
        layer = self.layers[self.index]
        return layer if is_wrapped(layer) else None


def _only(action: Callable[[], Any]) -> None:
    # What a hook of a tensor returns takes the place of the gradient.
    action()


def gather_on_this_way(copies: nn.ModuleList, layers: nn.ModuleList):
    """Let copies of layers, which share the layers' leaf modules, gather sharded weights when they run."""
    for index, copy_of_layer in enumerate(copies):
        hooks = GatherOnThisWay(layers, index)
        copy_of_layer.register_forward_pre_hook(hooks.before)
        copy_of_layer.register_forward_hook(hooks.after)


def in_processes() -> bool:
    """Whether this process works together with others."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def is_wrapped(module: nn.Module) -> bool:
    """Whether FSDP2 has made a module one that gathers weights when it is called."""
    if not in_processes():  # before the import, which takes its time
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(module, FSDPModule)


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a shallow copy of a model, of its own class even if FSDP2 has put another one, without copies, before."""
    if not is_wrapped(model):
        return copy.copy(model)
    plain = type(model).__mro__[2]  # after FSDP2's class for this one, and FSDP2's class
    new = plain.__new__(plain)
    new.__setstate__(model.__getstate__())
    return new


def is_sharded(model: nn.Module) -> bool:
    """Whether the weights of a model are spread over processes, by FSDP2 or by ZeRO-3."""
    return in_processes() and (is_wrapped(model) or any(map(is_part, model.parameters())))


def whole_shape(weight: torch.Tensor) -> torch.Size:
    """Return the shape of a weight, of which this process may have a part only."""
    return torch.Size(getattr(weight, "ds_shape", weight.shape))


@torch.no_grad()
def whole_tensor(weight: torch.Tensor) -> torch.Tensor:
    """Return a weight as a whole; if processes have parts of it, all of them must call this at the same time."""
    if hasattr(weight, "full_tensor"):
        return weight.full_tensor()
    if not hasattr(weight, "ds_id") or weight.ds_status.name == "AVAILABLE":
        return weight.detach()
    weight.all_gather()
    whole = weight.detach().clone()
    weight.partition()
    return whole


def is_part(weight: torch.Tensor) -> bool:
    """Whether a weight is only this process's part of it, or stands for one that other processes have parts of."""
    return hasattr(weight, "full_tensor") or hasattr(weight, "ds_id")


__all__ = [
    "gather_on_this_way",
    "in_processes",
    "is_part",
    "is_sharded",
    "is_wrapped",
    "plain_copy",
    "whole_shape",
    "whole_tensor",
]
