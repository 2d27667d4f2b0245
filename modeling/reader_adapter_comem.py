"""The reader adapter: what training has changed in the model that reads memory and answers."""

import re
from typing import Any

import torch
from transformers import PreTrainedModel

from .adapter_comem import CoMemAdapter, add_terms, base_layer, target_layers
from .configuration_comem import CoMemConfig
from .memory_encoder_comem import CoMemMemoryEncoder
from .memory_fingerprint_comem import CoMemFingerprintMixin
from .placement_comem import is_offloaded, is_quantized


READERS = ("adapter", "plain", "trainable")


class CoMemReaderMixin(CoMemFingerprintMixin):
    """The methods of the model for a reader that was trained, too.

    The published training changes the reader as well as the encoder, by an adapter of its own. It is merged into the
    backbone's weights, so that decoding costs nothing more, and taken out again on the encoder's way. Where weights
    are quantized or offloaded, or the adapter is being trained, it stays beside them.
    """

    # Attributes that the model has.
    config: CoMemConfig
    backbone: PreTrainedModel
    memory_encoder: CoMemMemoryEncoder
    reader_adapter: CoMemAdapter | None

    def add_reader_adapter(self, **config: Any):
        """Add a new, trainable adapter for the text model of the backbone, which changes nothing before training.

        Args:
            **config: Keys of `reader_lora_config` in [`CoMemConfig`].

        Raises:
            ValueError: If the model has a reader adapter.
        """
        if self.config.reader_lora_config is not None:
            raise ValueError(
                "The model has a reader adapter; load it with `reader='trainable'` to go on training that one."
            )
        # The configuration checks its values when it is made.
        values = {**self.config.to_dict(), "reader_lora_config": {**config, "merged": False}}
        self.config.reader_lora_config = CoMemConfig.from_dict(values).reader_lora_config
        self._make_reader_adapter()
        self.reader_adapter.place(self.backbone.model, self.backbone.dtype)
        self.reader_adapter.requires_grad_(True)

    @torch.no_grad()
    def adopt_reader_adapter(self, adapted: torch.nn.Module | None = None):
        """Turn a PEFT LoRA adapter on the backbone's text model into the reader adapter, and merge it.

        That is what `merge_and_unload` is for a plain model: decoding costs nothing more. The memory vectors stay, as
        the change is taken out again on the encoder's way. Afterwards PEFT's layers are gone from the model.

        Args:
            adapted ([`~peft.PeftModel`], *optional*): The model with the adapter, if not this one itself.

        Raises:
            ValueError: If there is a reader adapter already, or the adapter is no plain LoRA on linear layers of the
                text model.
        """
        if self.config.reader_lora_config is not None:
            raise ValueError("The model has a reader adapter, and a second one cannot be merged into its weights.")
        model = self.backbone.model
        layers = {name: layer for name, layer in self.backbone.named_modules() if hasattr(layer, "base_layer")}
        found = {name.removeprefix("model."): _lora_of(name, layer) for name, layer in layers.items()}
        if not found:
            raise ValueError("There is no PEFT adapter on the backbone to adopt.")
        fingerprint = self.memory_fingerprint()
        for name, layer in layers.items():
            parent, _, child = name.rpartition(".")
            setattr(self.backbone.get_submodule(parent), child, base_layer(layer))
        ranks = {name: pair[0].shape[0] for name, pair in found.items()}
        config = {"target_modules": sorted(found), "lora_dropout": 0.0, "r": max(ranks.values())}
        config |= {"rank_pattern": {re.escape(name): rank for name, rank in ranks.items()}}
        config |= {"lora_alpha": config["r"], "alpha_pattern": {re.escape(name): rank for name, rank in ranks.items()}}
        self.add_reader_adapter(**config)
        for name, (a, b, scale) in found.items():
            ours = self.reader_adapter.pair(name)
            ours[0].copy_(a)
            ours[1].copy_(b.float() * scale)
        self.reader_adapter.requires_grad_(False)
        for holder in (self, self.backbone, model, *([] if adapted is None else [adapted])):
            for attribute in ("peft_config", "_hf_peft_config_loaded"):
                holder.__dict__.pop(attribute, None)
        self._set_reader("adapter")
        self._keep_fingerprint(fingerprint)

    def _make_reader_adapter(self):
        """Make the adapter that the configuration describes."""
        config = self.config.reader_lora_config
        if config is None:
            self.reader_adapter = None
            return
        layers = target_layers(self.backbone.model, config["target_modules"], inside="language_model.")
        self.reader_adapter = CoMemAdapter(layers, config)
        if config["merged"]:
            self._take_out_of_encoder()
        else:
            add_terms(self.backbone.model, self.reader_adapter)

    @torch.no_grad()
    def _set_reader(self, reader: str):
        """Put a reader adapter that is beside the backbone's weights where `reader` says, see `from_pretrained`."""
        if self.reader_adapter is None or self.config.reader_lora_config["merged"]:
            return
        layers = {name: self._reader_layer(name) for name in self.reader_adapter.scales}
        fixed = any(is_quantized(layer) or is_offloaded(layer) for layer in layers.values())
        if reader == "trainable":
            self.reader_adapter.requires_grad_(True)
        if reader == "trainable" or reader == "adapter" and fixed:
            return
        for name, layer in layers.items():
            parent, _, child = name.rpartition(".")
            setattr(self.backbone.model.get_submodule(parent), child, layer)
            if reader == "adapter":
                layer.weight.copy_(layer.weight.float() + self.reader_adapter.change(name).to(layer.weight.device))
        if reader == "adapter":
            self.config.reader_lora_config = {**self.config.reader_lora_config, "merged": True}
            self._take_out_of_encoder()

    def _take_out_of_encoder(self):
        if self.config.encoder == "adapter":  # else it has weights of its own
            add_terms(self.memory_encoder.model, self.reader_adapter, sign=-1)

    def _reader_layer(self, name: str) -> torch.nn.Module:
        return base_layer(self.backbone.model.get_submodule(name))


def without_reader_adapter(tensors: dict[str, Any], config: CoMemConfig) -> dict[str, Any]:
    """Return a checkpoint's tensors with a merged reader adapter taken out of the backbone's weights.

    Args:
        tensors (`dict`): Tensors or unread slices by their keys in the checkpoint.
        config ([`CoMemConfig`]): The configuration; `merged` is set to `False` in it.
    """
    lora = config.reader_lora_config
    with torch.device("meta"):
        adapter = CoMemAdapter(_layers_of(tensors), lora)
    tensors = dict(tensors)
    for name in adapter.scales:
        key = f"backbone.model.{name}.weight"
        a, b = (tensors[f"reader_adapter.{name}.lora_{half}.weight"][...].float() for half in "AB")
        weight = tensors[key][...]
        tensors[key] = (weight.float() - (b @ a) * adapter.scales[name]).to(weight.dtype)
    config.reader_lora_config = {**lora, "merged": False}
    return tensors


def _lora_of(name: str, layer: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return the factors and the scale of a PEFT LoRA layer with one adapter."""
    names = list(getattr(layer, "lora_A", {}))
    is_plain = name.startswith("model.language_model.") and isinstance(base_layer(layer), torch.nn.Linear)
    if len(names) != 1 or not is_plain or getattr(layer, "use_dora", {}).get(names[0]) or layer.merged:
        raise ValueError(
            f"The adapter on {name!r} cannot become the reader adapter: that takes one LoRA adapter, not merged, on "
            "linear layers of the text model (`target_modules=r'.*language_model.*_proj'`)."
        )
    return layer.lora_A[names[0]].weight, layer.lora_B[names[0]].weight, layer.scaling[names[0]]


def _layers_of(tensors: dict[str, Any]) -> dict[str, torch.nn.Module]:
    prefix, suffix = "reader_adapter.", ".lora_A.weight"
    names = [key.removeprefix(prefix).removesuffix(suffix) for key in tensors if key.startswith(prefix)]
    return {name: torch.nn.Linear(1, 1) for name in names if "lora_" not in name}


__all__ = ["READERS", "CoMemReaderMixin", "without_reader_adapter"]
