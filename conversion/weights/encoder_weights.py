"""The memory encoder's weights, as an adapter or as full weights, made from either form."""

import torch

from comem_hf.conversion.published.comparison import changed_weights, refuse_other_origin
from comem_hf.conversion.published.layouts import PublishedCheckpoint
from comem_hf.conversion.published.peft_folder import LoraFactors
from comem_hf.conversion.published.tensor_files import LazyTensor

from .adapters import SEPARATE, AdapterWeights, carry_adapter, recover_adapter


def separate_weights(published: PublishedCheckpoint, linear_layers: list[str]) -> dict[str, LazyTensor]:
    """Return the encoder's full weights by name; an adapter is merged into the backbone's weights layer by layer.

    Args:
        published ([`PublishedCheckpoint`]): The source.
        linear_layers (`list[str]`): Names of all layers that an adapter can change.
    """
    _trained(published, linear_layers)
    if published.lora is None:
        return published.encoder
    check_lora(published.lora, published, linear_layers)
    weights = {name: tensor for name, tensor in published.backbone.items() if name.startswith("model.")}
    weights |= published.encoder
    for layer, factors in published.lora.items():
        weights[f"model.{layer}.weight"] = merged(weights[f"model.{layer}.weight"], factors)
    return weights


def merged(base: LazyTensor, factors: LoraFactors) -> LazyTensor:
    """Return a weight with an adapter's change added in float32, in the weight's own type."""

    def load() -> torch.Tensor:
        weight = base.load()
        change = factors.b.load().float() @ factors.a.load().float()
        return change.mul_(factors.alpha / factors.rank).add_(weight).to(weight.dtype)

    return LazyTensor(base.origin, base.shape, base.dtype, load)


def adapter_weights(
    published: PublishedCheckpoint, linear_layers: list[str], rank: int | None, max_error: float
) -> AdapterWeights:
    """Return the encoder's adapter.

    Args:
        published ([`PublishedCheckpoint`]): The source.
        linear_layers (`list[str]`): Names of all layers that an adapter can change.
        rank (`int`, *optional*): Rank of a recovered adapter; defaults to the largest that a layer needs.
        max_error (`float`): Part of a layer's change that its factors may leave out beyond rounding noise, relative to
            the change.

    Raises:
        ValueError: If the encoder differs from the backbone by more than low-rank changes of linear layers.
    """
    if published.lora is None:
        _check_complete(published, linear_layers)
        _refuse_trained(published, linear_layers)
        return recover_adapter(
            published.encoder,
            published.backbone,
            linear_layers,
            possible=linear_layers,
            rank=rank,
            max_error=max_error,
            what="adapter",
            knobs="`rank` or `max_error`",
            advice=f"convert with {SEPARATE}",
        )
    if rank is not None:
        raise ValueError("`rank` is for recovering an adapter from merged weights; an adapter folder keeps its own.")
    check_lora(published.lora, published, linear_layers)
    for name, tensor in published.encoder.items():
        if name not in published.backbone:
            raise ValueError(f"{tensor.origin} is not in the backbone.")
    _refuse_trained(published, linear_layers)
    return carry_adapter(published.lora, linear_layers, published.lora_dropout)


def check_lora(lora: dict[str, LoraFactors], published: PublishedCheckpoint, linear_layers: list[str]):
    """Raise a `ValueError` if factors fit no linear layer of the backbone."""
    if not lora:
        raise ValueError(f"{published.source} holds no LoRA factors (`*.lora_A.weight`).")
    for layer, factors in lora.items():
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


def _check_complete(published: PublishedCheckpoint, linear_layers: list[str]):
    held = {name for name in published.backbone if name.startswith("model.")}
    held |= {f"model.{layer}.weight" for layer in linear_layers}
    missing = sorted(held - published.encoder.keys())
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


def _trained(published: PublishedCheckpoint, linear_layers: list[str]) -> list[str]:
    """Return the weights that differ from the backbone's though no adapter changes them."""
    adapted = set() if published.lora else {f"model.{layer}.weight" for layer in linear_layers}
    frozen = {name for name in published.backbone if name.startswith("model.")} - adapted
    changed = changed_weights({n: t for n, t in published.encoder.items() if n in frozen}, published.backbone)
    if not published.has_copy:  # with a copy, the backbone was compared with that, and all weights may be trained
        refuse_other_origin(changed, len(frozen), published.source, published.backbone_source)
    return changed


def _refuse_trained(published: PublishedCheckpoint, linear_layers: list[str]):
    for name in _trained(published, linear_layers):
        origin = published.encoder[name].origin
        raise ValueError(f"{origin} was trained, but is no linear layer's weight; convert with {SEPARATE}.")
