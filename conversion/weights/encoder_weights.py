"""The memory encoder's weights, as an adapter or as full weights, made from either form."""

import torch
from transformers.utils import logging

from comem_hf.conversion.output.report import ConversionReport
from comem_hf.conversion.published.comparison import changed_weights, refuse_other_origin
from comem_hf.conversion.published.layouts import PublishedCheckpoint
from comem_hf.conversion.published.peft_folder import LoraFactors
from comem_hf.conversion.published.tensor_files import LazyTensor

from .low_rank import LowRankChange, factor_change


SEPARATE = "encoder='separate' (--encoder separate)"


def separate_weights(published: PublishedCheckpoint, linear_layers: list[str]) -> dict[str, LazyTensor]:
    """Return the encoder's full weights by name; an adapter is merged into the backbone's weights layer by layer.

    Args:
        published ([`PublishedCheckpoint`]): The source.
        linear_layers (`list[str]`): Names of all layers that an adapter can change.
    """
    _trained(published, linear_layers)
    if published.lora is None:
        return published.encoder
    _check_lora(published, linear_layers)
    weights = {name: tensor for name, tensor in published.backbone.items() if name.startswith("model.")}
    weights |= published.encoder
    for layer, factors in published.lora.items():
        weights[f"model.{layer}.weight"] = _merged(weights[f"model.{layer}.weight"], factors)
    return weights


def _merged(base: LazyTensor, factors: LoraFactors) -> LazyTensor:
    def load() -> torch.Tensor:
        weight = base.load()
        change = factors.b.load().float() @ factors.a.load().float()
        return change.mul_(factors.alpha / factors.rank).add_(weight).to(weight.dtype)

    return LazyTensor(base.origin, base.shape, base.dtype, load)


def adapter_weights(
    published: PublishedCheckpoint,
    linear_layers: list[str],
    rank: int | None,
    max_error: float,
    report: ConversionReport,
) -> tuple[dict[str, LazyTensor], dict]:
    """Return the adapter's factors by name, and the `lora_config` that goes with them.

    Args:
        published ([`PublishedCheckpoint`]): The source.
        linear_layers (`list[str]`): Names of all layers that an adapter can change.
        rank (`int`, *optional*): Rank of a recovered adapter; defaults to the largest that a layer needs.
        max_error (`float`): Part of a layer's change that its factors may leave out beyond rounding noise, relative to
            the change.
        report ([`ConversionReport`]): Rank and errors are entered here.

    Raises:
        ValueError: If the encoder differs from the backbone by more than low-rank changes of linear layers.
    """
    if published.lora is None:
        return _recovered(published, linear_layers, rank, max_error, report)
    if rank is not None:
        raise ValueError("`rank` is for recovering an adapter from merged weights; an adapter folder keeps its own.")
    return _carried(published, linear_layers, report)


def _carried(published: PublishedCheckpoint, linear_layers: list[str], report: ConversionReport):
    _check_lora(published, linear_layers)
    for name, tensor in published.encoder.items():
        if name not in published.backbone:
            raise ValueError(f"{tensor.origin} is not in the backbone.")
    _refuse_trained(published, linear_layers)
    lora = published.lora
    ranks = {layer: factors.rank for layer, factors in lora.items()}
    alphas = {layer: factors.alpha for layer, factors in lora.items()}
    config = {"lora_dropout": published.lora_dropout, "target_modules": _targets(list(lora), linear_layers)}
    config["r"], config["rank_pattern"] = _most_common(ranks)
    config["lora_alpha"], config["alpha_pattern"] = _most_common(alphas)
    report.rank = max(ranks.values())
    return {
        f"model.{layer}.lora_{half}.weight": tensor
        for layer, factors in lora.items()
        for half, tensor in (("A", factors.a), ("B", factors.b))
    }, config


def _recovered(
    published: PublishedCheckpoint,
    linear_layers: list[str],
    rank: int | None,
    max_error: float,
    report: ConversionReport,
):
    weights = {f"model.{layer}.weight": layer for layer in linear_layers}
    held = {name for name in published.backbone if name.startswith("model.")}
    missing = sorted((weights.keys() | held) - published.encoder.keys())
    if missing:
        raise ValueError(
            f"{published.source} lacks {len(missing)} tensors of the encoder, such as {missing[:4]}; download it "
            "again."
        )
    for name, tensor in published.encoder.items():
        base = published.backbone.get(name)
        if base is None or base.shape != tensor.shape:
            shape = "lacks it" if base is None else f"has {tuple(base.shape)}"
            raise ValueError(f"{tensor.origin} has shape {tuple(tensor.shape)}, but the backbone {shape}.")
    _refuse_trained(published, linear_layers)
    _check_rank(rank, published.encoder, weights)
    changes: dict[str, LowRankChange] = {}
    names = [name for name in published.encoder if name in weights]
    for name in logging.tqdm(names, desc="Recovering the adapter", unit="layer", leave=False):
        tensor, layer = published.encoder[name], weights[name]
        change = factor_change(tensor.load(), published.backbone[name].load(), rank)
        if not change.is_low_rank:
            raise ValueError(
                f"The change of {tensor.origin} is not low-rank: at rank {change.rank} an adapter is no smaller than "
                f"the layer; convert with {SEPARATE}."
            )
        if not change.error <= max_error + change.noise:  # also refuses NaN
            raise ValueError(
                f"The adapter of {tensor.origin} cannot be recovered: rank {change.rank} leaves out "
                f"{change.error:.1e} of the change, rounding explains {change.noise:.1e} and `max_error` allows "
                f"{max_error:.1e} more; give a higher `rank` or `max_error`, or convert with {SEPARATE}."
            )
        changes[layer] = change
        report.errors[layer], report.noise[layer] = change.error, change.noise
    largest = max((change.rank for change in changes.values()), default=0)
    report.rank = rank or max(1, largest)
    # An encoder without any change still gets an adapter, which is all zeros.
    changed = {layer: change for layer, change in changes.items() if change.rank or not largest}
    tensors = {}
    for layer, change in changed.items():
        for half, factor in zip("AB", change.padded(report.rank), strict=True):
            origin = f"the adapter of {layer}"
            tensors[f"model.{layer}.lora_{half}.weight"] = LazyTensor(
                origin, factor.shape, factor.dtype, lambda factor=factor: factor
            )
    # The factors hold the scale, so that alpha / r is 1.
    return tensors, {
        "r": report.rank,
        "lora_alpha": report.rank,
        "target_modules": _targets(list(changed), linear_layers),
    }


def _check_rank(rank: int | None, encoder: dict[str, LazyTensor], layers: dict[str, str]):
    for name, layer in layers.items():
        rows, columns = encoder[name].shape
        limit = -(-rows * columns // (rows + columns))
        if rank is not None and rank >= limit:
            raise ValueError(
                f"`rank` (--rank) {rank} is too large: an adapter of {layer} ({rows} x {columns}) is smaller than the "
                f"layer only below {limit}."
            )


def _check_lora(published: PublishedCheckpoint, linear_layers: list[str]):
    if not published.lora:
        raise ValueError(f"{published.source} holds no LoRA factors (`*.lora_A.weight`).")
    for layer, factors in published.lora.items():
        if layer not in linear_layers:
            raise ValueError(
                f"{published.source} adapts {layer}, which is no linear layer of `backbone`; pass the model that it "
                "was trained from."
            )
        base = published.backbone.get(f"model.{layer}.weight")
        if base is None:
            raise ValueError(f"`backbone` {published.backbone_source} lacks model.{layer}.weight; download it again.")
        shape = base.shape
        if (factors.b.shape[0], factors.a.shape[1]) != tuple(shape):
            raise ValueError(
                f"{published.source} adapts {layer} of shape {(factors.b.shape[0], factors.a.shape[1])}, but that of "
                f"`backbone` has {tuple(shape)}; pass the model that it was trained from."
            )


def _trained(published: PublishedCheckpoint, linear_layers: list[str]) -> list[str]:
    """Return the weights that differ from the backbone's though no adapter changes them."""
    adapted = set() if published.lora else {f"model.{layer}.weight" for layer in linear_layers}
    frozen = {name for name in published.backbone if name.startswith("model.")} - adapted
    changed = changed_weights({n: t for n, t in published.encoder.items() if n in frozen}, published.backbone)
    if not published.has_copy:  # with a copy, the backbone is certain, and all weights may have been trained
        refuse_other_origin(changed, len(frozen), published.source, published.backbone_source)
    return changed


def _refuse_trained(published: PublishedCheckpoint, linear_layers: list[str]):
    for name in _trained(published, linear_layers):
        origin = published.encoder[name].origin
        raise ValueError(f"{origin} was trained, but is no linear layer's weight; convert with {SEPARATE}.")


def _targets(layers: list[str], linear_layers: list[str]) -> list[str] | None:
    return None if set(layers) == set(linear_layers) else sorted(layers)


def _most_common(values: dict[str, float]) -> tuple[float, dict[str, float]]:
    """Return the most frequent value, and those of the layers that have another."""
    common = max(set(values.values()), key=list(values.values()).count)
    return common, {layer: value for layer, value in values.items() if value != common}
