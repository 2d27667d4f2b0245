"""Adapters of a converted checkpoint: carried over from a PEFT folder, or recovered from merged weights."""

from dataclasses import dataclass, field
from typing import Any

from transformers.utils import logging

from comem_hf.conversion.published.peft_folder import LoraFactors
from comem_hf.conversion.published.tensor_files import LazyTensor

from .low_rank import LowRankChange, factor_change


SEPARATE = "encoder='separate' (--encoder separate)"


@dataclass(frozen=True)
class AdapterWeights:
    """An adapter of a converted checkpoint.

    Args:
        tensors (`dict[str, LazyTensor]`): `<layer>.lora_A.weight` and `<layer>.lora_B.weight`, with the names of
            layers inside the backbone's `.model`.
        config (`dict`): The part of `lora_config` that goes with them.
        rank (`int`): The largest rank.
        errors (`dict[str, float]`), noise (`dict[str, float]`): By layer, see [`ConversionReport`]; empty if nothing
            had to be recovered.
    """

    tensors: dict[str, LazyTensor]
    config: dict[str, Any]
    rank: int
    errors: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)


def carry_adapter(lora: dict[str, LoraFactors], layers: list[str], dropout: float) -> AdapterWeights:
    """Return the adapter of a PEFT folder as it is.

    Args:
        lora (`dict[str, LoraFactors]`): The factors by layer.
        layers (`list[str]`): All layers that such an adapter can change.
        dropout (`float`): Dropout that the adapter was trained with.
    """
    config = {"lora_dropout": dropout, "target_modules": _targets(list(lora), layers)}
    config["r"], config["rank_pattern"] = _most_common({layer: factors.rank for layer, factors in lora.items()})
    config["lora_alpha"], config["alpha_pattern"] = _most_common(
        {layer: factors.alpha for layer, factors in lora.items()}
    )
    tensors = {
        f"{layer}.lora_{half}.weight": tensor
        for layer, factors in lora.items()
        for half, tensor in (("A", factors.a), ("B", factors.b))
    }
    return AdapterWeights(tensors, config, rank=max(factors.rank for factors in lora.values()))


def recover_adapter(
    weights: dict[str, LazyTensor],
    base: dict[str, LazyTensor],
    layers: list[str],
    *,
    possible: list[str],
    rank: int | None,
    max_error: float,
    what: str,
    knobs: str,
    advice: str,
) -> AdapterWeights:
    """Factor the changes of linear layers.

    Args:
        weights (`dict[str, LazyTensor]`): The changed weights, by their names in transformers 5.
        base (`dict[str, LazyTensor]`): The weights before the change, by the same names.
        layers (`list[str]`): The layers to look at.
        possible (`list[str]`): All layers that such an adapter can change.
        rank (`int`, *optional*): Rank of the adapter; defaults to the largest that a layer needs.
        max_error (`float`): Part of a layer's change that its factors may leave out beyond rounding noise, relative to
            the change.
        what (`str`): The adapter's name, for messages.
        knobs (`str`): The arguments that may be raised if too much is left out, for messages.
        advice (`str`): The way out for a change that is not low-rank, for messages.

    Raises:
        ValueError: If a change is not low-rank, or if its factors leave out too much.
    """
    _check_rank(rank, weights, layers)
    changes: dict[str, LowRankChange] = {}
    for layer in logging.tqdm(layers, desc=f"Recovering the {what}", unit="layer", leave=False):
        name = f"model.{layer}.weight"
        tensor = weights[name]
        change = factor_change(tensor.load(), base[name].load(), rank)
        if not change.is_low_rank:
            raise ValueError(
                f"The change of {tensor.origin} is not low-rank: at rank {change.rank} an adapter is no smaller than "
                f"the layer; {advice}."
            )
        if not change.error <= max_error + change.noise:  # also refuses NaN
            raise ValueError(
                f"The {what} of {tensor.origin} cannot be recovered: rank {change.rank} leaves out "
                f"{change.error:.1e} of the change, rounding explains {change.noise:.1e} and `max_error` allows "
                f"{max_error:.1e} more; give a higher {knobs}, or {advice}."
            )
        changes[layer] = change
    largest = max((change.rank for change in changes.values()), default=0)
    width = rank or max(1, largest)
    # Weights without any change still get an adapter, which is all zeros.
    changed = {layer: change for layer, change in changes.items() if change.rank or not largest}
    tensors = {}
    for layer, change in changed.items():
        for half, factor in zip("AB", change.padded(width), strict=True):
            tensors[f"{layer}.lora_{half}.weight"] = LazyTensor(
                f"the {what} of {layer}", factor.shape, factor.dtype, lambda factor=factor: factor
            )
    # The factors hold the scale, so that alpha / r is 1.
    config = {"r": width, "lora_alpha": width, "target_modules": _targets(list(changed), possible)}
    errors = {layer: change.error for layer, change in changes.items()}
    return AdapterWeights(tensors, config, width, errors, {layer: change.noise for layer, change in changes.items()})


def _check_rank(rank: int | None, weights: dict[str, LazyTensor], layers: list[str]):
    for layer in layers:
        rows, columns = weights[f"model.{layer}.weight"].shape
        limit = -(-rows * columns // (rows + columns))
        if rank is not None and rank >= limit:
            raise ValueError(
                f"`rank` (--rank) {rank} is too large: an adapter of {layer} ({rows} x {columns}) is smaller than the "
                f"layer only below {limit}."
            )


def _targets(changed: list[str], layers: list[str]) -> list[str] | None:
    return None if set(changed) == set(layers) else sorted(changed)


def _most_common(values: dict[str, float]) -> tuple[float, dict[str, float]]:
    """Return the most frequent value, and those of the layers that have another."""
    common = max(set(values.values()), key=list(values.values()).count)
    return common, {layer: value for layer, value in values.items() if value != common}
