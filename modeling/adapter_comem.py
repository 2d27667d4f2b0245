"""Low-rank adapters on the backbone's own weights, and two ways through these.

The *reader's way* is the backbone itself. The *encoder's way* is a copy of the backbone's structure whose leaf modules
(linear layers, norms, embeddings) *are* the backbone's. On each way, [`CoMemLoraLinear`] layers add what differs. So
nothing is switched on or off: two threads cannot disturb each other, nor can the recomputation of a checkpointed
encoding pass disturb the backward pass of answering. The encoder's structure is no submodule of the model, and the
layers are not PEFT's, so tools that change all modules of a model, such as PEFT, change the backbone only.
"""

import copy
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from .lora_dropout_comem import drop_and_reduce
from .placement_comem import execution_device


class CoMemAdapter(nn.Module):
    """Low-rank changes of linear layers: `alpha / r * B A` is added to a layer's weight.

    Args:
        layers (`dict[str, torch.nn.Module]`): The linear layers, by their names in the backbone's `.model`.
        config (`dict`): `r`, `lora_alpha`, `lora_dropout`, `rank_pattern` and `alpha_pattern`, as in
            [`~peft.LoraConfig`].
    """

    def __init__(self, layers: dict[str, nn.Module], config: dict[str, Any]):
        super().__init__()
        self.dropout = config["lora_dropout"]
        self.scales: dict[str, float] = {}
        # One flat dictionary: modules of the layers' names would be taken for layers.
        self.factors = nn.ParameterDict()
        for name, layer in layers.items():
            rank = _of_layer(config["rank_pattern"], name, config["r"])
            self.scales[name] = _of_layer(config["alpha_pattern"], name, config["lora_alpha"]) / rank
            # Nothing is changed at the start, as with PEFT: B is zero.
            a = torch.empty(rank, layer.in_features)
            if not a.is_meta:  # torch draws nothing there, but takes its time
                nn.init.kaiming_uniform_(a, a=5**0.5)
            self.factors[f"{_flat(name)}/A"] = nn.Parameter(a)
            self.factors[f"{_flat(name)}/B"] = nn.Parameter(torch.zeros(layer.out_features, rank))

    def pair(self, name: str) -> tuple[nn.Parameter, nn.Parameter]:
        """Return a layer's factors A `(rank, in)` and B `(out, rank)`."""
        return self.factors[f"{_flat(name)}/A"], self.factors[f"{_flat(name)}/B"]

    def change(self, name: str) -> torch.Tensor:
        """Return the matrix that is added to a layer's weight, `(out, in)`, in float32."""
        a, b = (factor.detach().float() for factor in self.pair(name))
        return (b @ a) * self.scales[name]

    def place(self, model: nn.Module, dtype: torch.dtype):
        """Move each layer's factors to where the layer of `model` computes, in the type `dtype`."""
        for name in self.scales:
            device = execution_device(base_layer(model.get_submodule(name)))
            for key in (f"{_flat(name)}/A", f"{_flat(name)}/B"):
                factor = self.factors[key]
                if factor.is_meta:  # its numbers are loaded later
                    # `torch.empty_like` of a meta tensor runs in Python, ten times as long.
                    empty = torch.empty(factor.shape, device=device, dtype=dtype)
                    self.factors[key] = nn.Parameter(empty, requires_grad=factor.requires_grad)
                else:
                    factor.data = factor.data.to(device=device, dtype=dtype)

    def extra_repr(self) -> str:
        return f"layers={len(self.scales)}, dropout={self.dropout}"


class LoraTerm(NamedTuple):
    """A part of what a [`CoMemLoraLinear`] adds.

    Args:
        adapter ([`CoMemAdapter`]): Holds the factors.
        name (`str`): The layer's name in it.
        sign (`int`): 1 to add the change, -1 to subtract it.
    """

    adapter: CoMemAdapter
    name: str
    sign: int

    def add_to(self, result: torch.Tensor, states: torch.Tensor, training: bool) -> torch.Tensor:
        """Return `result` with the change that this term makes for `states`; without gradients, it is changed itself.

        Args:
            result (`torch.Tensor` of shape `(..., out)`): Output of the layer for the same states.
            states (`torch.Tensor` of shape `(..., in)`): Input of the layer.
            training (`bool`): Whether the layer is in training mode.
        """
        a, b = self.adapter.pair(self.name)
        if self.adapter.dropout and training and a.requires_grad:  # dropout is for a change that is being learned
            low = drop_and_reduce(states, a, self.adapter.dropout)
        else:
            low = F.linear(states.to(a.dtype), a)
        low = low * (self.sign * self.adapter.scales[self.name])
        if not low.dtype == b.dtype == result.dtype:  # mixed precision
            return result + F.linear(low, b)
        # Product and sum in one pass over the output: as passes of their own, the sum and the memory for it take as
        # long as half of a wide layer.
        rows = result.reshape(-1, result.shape[-1])
        low = low.reshape(-1, low.shape[-1])
        is_learned = torch.is_grad_enabled() and (rows.requires_grad or low.requires_grad or b.requires_grad)
        rows = torch.addmm(rows, low, b.t()) if is_learned else rows.addmm_(low, b.t())
        return rows.view(result.shape)


class CoMemLoraLinear(nn.Module):
    """A linear layer, which is used as it is, and the low-rank terms that are added to its output."""

    def __init__(self, layer: nn.Module, terms: list[LoraTerm]):
        super().__init__()
        self.base_layer = layer
        self.terms = terms

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        result = self.base_layer(states)
        dtype = result.dtype
        for term in self.terms:
            result = term.add_to(result, states, self.training)
        return result.to(dtype)


def share_weights(model: PreTrainedModel) -> PreTrainedModel:
    """Copy a model's structure: the leaf modules and the configurations of the copy *are* those of the original.

    The copy's other modules have their own hooks, flags and caches.
    """
    shared: list[Any] = [module for module in model.modules() if not any(module.children())]
    shared += [module._hf_hook for module in model.modules() if hasattr(module, "_hf_hook")]
    shared += [module.config for module in model.modules() if isinstance(module, PreTrainedModel)]
    return copy.deepcopy(model, memo={id(part): part for part in shared})


def remove_terms(model: nn.Module, adapter: CoMemAdapter):
    """Put the layers that an adapter names back as they are without any terms."""
    for name in adapter.scales:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, base_layer(model.get_submodule(name)))


def is_up_to(depth: int, name: str) -> bool:
    """Whether a layer of a backbone's `.model` does not belong to the text model's layers above `depth`."""
    number = re.match(r"language_model\.layers\.(\d+)\.", name)
    return number is None or int(number[1]) < depth


def add_terms(model: nn.Module, adapter: CoMemAdapter, sign: int = 1):
    """Let the layers of `model` that an adapter names add its change, or subtract it with `sign=-1`.

    Layers of the text model that `model` lacks are left out (see `stop_after`).
    """
    for name in filter(partial(is_up_to, len(model.language_model.layers)), adapter.scales):
        layer = model.get_submodule(name)
        if not isinstance(layer, CoMemLoraLinear):
            layer = CoMemLoraLinear(layer, []).train(model.training)
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, layer)
        layer.terms.append(LoraTerm(adapter, name, sign))


@torch.no_grad()
def changes(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield, by layer, the matrix that all terms together add to its weight, `(out, in)`, in float32."""
    for name, layer in model.named_modules():
        if isinstance(layer, CoMemLoraLinear):
            yield name, sum(term.sign * term.adapter.change(term.name) for term in layer.terms)


def base_layer(layer: nn.Module) -> nn.Module:
    """Return the linear layer itself, without the terms around it, ours or PEFT's."""
    while hasattr(layer, "base_layer"):
        layer = layer.base_layer
    return layer


def target_layers(model: nn.Module, targets: str | list[str] | None, inside: str = "") -> dict[str, nn.Module]:
    """Return the linear layers that an adapter changes, by name.

    Args:
        model (`torch.nn.Module`): A backbone's `.model`.
        targets (`str` or `list[str]`, *optional*): A regular expression for whole names, or names or their last parts,
            as in [`~peft.LoraConfig`]; `None` means all linear layers.
        inside (`str`, *optional*): Only layers whose names start with this.

    Raises:
        ValueError: If there are no such layers.
    """
    layers = {name: module for name, module in linear_layers(model) if name.startswith(inside)}
    if targets is None:
        return layers
    if isinstance(targets, str):
        found = {name: layer for name, layer in layers.items() if re.fullmatch(targets, name)}
    else:
        found = {name: layer for name, layer in layers.items() if any(_is_named(name, target) for target in targets)}
    if not found:
        raise ValueError(
            f"`target_modules` is {targets!r}, but the backbone has no such linear layers; their names are like "
            f"{next(iter(layers), None)!r}."
        )
    return found


def linear_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield all linear layers of a backbone's `.model` by name: text model and vision tower, not `lm_head`."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear))


def _is_named(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _of_layer(pattern: dict[str, Any], name: str, default: Any) -> Any:
    """Return the value of the first regular expression that matches the end of a name, as PEFT reads its patterns."""
    return next((value for key, value in pattern.items() if re.fullmatch(rf"(.*\.)?({key})", name)), default)


def _flat(name: str) -> str:
    return name.replace(".", "/")


__all__ = [
    "CoMemAdapter",
    "CoMemLoraLinear",
    "add_terms",
    "base_layer",
    "changes",
    "is_up_to",
    "linear_layers",
    "remove_terms",
    "share_weights",
    "target_layers",
]
