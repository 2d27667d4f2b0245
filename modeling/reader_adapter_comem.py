"""The reader adapter: what training has changed in the model that reads memory and answers."""

import re
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from .adapter_comem import CoMemAdapter, CoMemLoraLinear, add_terms, base_layer, remove_terms, target_layers
from .configuration_comem import CoMemConfig
from .memory_encoder_comem import CoMemMemoryEncoder
from .memory_fingerprint_comem import CoMemFingerprintMixin
from .placement_comem import is_offloaded, is_quantized


READERS = ("adapter", "plain", "trainable")
TEXT_MODEL = "language_model."  # inside a backbone's `.model`
MERGED = "reader_adapter.merged"  # in a state dict: whether the backbone's weights in it hold the change


class CoMemReaderMixin(CoMemFingerprintMixin):
    """The methods of the model for a reader that was trained, too.

    The published training changes the reader as well as the encoder, by an adapter of its own. It is merged into the
    backbone's weights, so that decoding costs nothing more, and taken out again on the encoder's way. It stays beside
    the weights while it is being trained, and where they are not the model's to change: those of a backbone that is
    quantized, offloaded or given by the user.
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
        fingerprint = self.memory_fingerprint()
        # The configuration checks its values when it is made.
        values = {**self.config.to_dict(), "reader_lora_config": {**config, "merged": False}}
        self.config.reader_lora_config = CoMemConfig.from_dict(values).reader_lora_config
        self._make_reader_adapter()
        self.reader_adapter.place(self.backbone.model, self.backbone.dtype)
        self.reader_adapter.requires_grad_(True)
        self._note_base(fingerprint)

    @torch.no_grad()
    def adopt_reader_adapter(self, adapted: nn.Module | None = None):
        """Turn a PEFT LoRA adapter on the backbone's text model into the reader adapter, and merge it.

        That is what `merge_and_unload` is for a plain model: decoding costs nothing more. The memory vectors stay, as
        the change is taken out again on the encoder's way. Afterwards PEFT's layers are gone from the model.

        The backbone's weights are changed for this, even if others use them, too.

        Args:
            adapted ([`~peft.PeftModel`], *optional*): The wrapper that PEFT has made of this model; it is of no more
                use afterwards.

        Raises:
            ValueError: If there is a reader adapter already, or the adapter is no plain LoRA on linear layers of the
                text model.
        """
        if self.config.reader_lora_config is not None:
            raise ValueError("The model has a reader adapter, and a second one cannot be merged into its weights.")
        found = _plain_lora(self.backbone)
        fingerprint = self.memory_fingerprint()
        for name in found:
            parent, _, child = name.rpartition(".")
            layer = self.backbone.model.get_submodule(name)
            setattr(self.backbone.model.get_submodule(parent), child, base_layer(layer))
        ranks = {re.escape(name): a.shape[0] for name, (a, _, _) in found.items()}
        rank = max(ranks.values())
        self.add_reader_adapter(
            target_modules=sorted(found),
            r=rank,
            lora_alpha=rank,
            lora_dropout=0.0,
            rank_pattern=ranks,
            alpha_pattern=ranks,  # the factors hold the scale
        )
        for name, (a, b, scale) in found.items():
            ours = self.reader_adapter.pair(name)
            ours[0].copy_(a)
            ours[1].copy_(b.float() * scale)
        self.reader_adapter.requires_grad_(False)
        for holder in (self, self.backbone, self.backbone.model, adapted):
            for attribute in ("peft_config", "_hf_peft_config_loaded"):
                getattr(holder, "__dict__", {}).pop(attribute, None)
        self._set_reader("adapter", may_merge=True)
        self._note_base(fingerprint)

    def _make_reader_adapter(self):
        """Make the adapter that the configuration describes."""
        config = self.config.reader_lora_config
        if config is None:
            self.reader_adapter = None
            return
        layers = target_layers(self.backbone.model, config["target_modules"], inside=TEXT_MODEL)
        self.reader_adapter = CoMemAdapter(layers, config)
        self.reader_adapter.register_buffer("merged", torch.tensor(config["merged"], device="cpu"))
        if config["merged"]:
            self._take_out_of_encoder()
        else:
            add_terms(self.backbone.model, self.reader_adapter)

    @torch.no_grad()
    def _set_reader(self, reader: str, may_merge: bool):
        """Put a reader adapter that is beside the backbone's weights where `reader` says, see `from_pretrained`."""
        adapter = self.reader_adapter
        if adapter is None or self.config.reader_lora_config["merged"]:
            return
        if reader == "trainable":
            adapter.requires_grad_(True)
        elif reader == "plain":
            remove_terms(self.backbone.model, adapter)
        elif may_merge and not self._has_fixed_weights():
            if self.config.backbone_checksum is None:  # soon nothing will be left to compute it from
                self.config.backbone_checksum = self._checksum_of_backbone()
            remove_terms(self.backbone.model, adapter)
            for name in adapter.scales:
                weight = self.backbone.model.get_submodule(name).weight
                weight.copy_(weight.float() + adapter.change(name).to(weight.device))
            self.config.reader_lora_config = {**self.config.reader_lora_config, "merged": True}
            adapter.merged.fill_(True)
            self._take_out_of_encoder()

    def _has_fixed_weights(self) -> bool:
        """Whether some of the weights that the adapter changes cannot be written to."""
        layers = [base_layer(self.backbone.model.get_submodule(name)) for name in self.reader_adapter.scales]
        return any(is_quantized(layer) or is_offloaded(layer) for layer in layers)

    def _is_beside_offloaded_weights(self) -> bool:
        layers = [self.backbone.model.get_submodule(name) for name in self.reader_adapter.scales]
        return any(base_layer(layer) is not layer and is_offloaded(base_layer(layer)) for layer in layers)

    def _take_out_of_encoder(self):
        if self.memory_encoder.shares_weights:
            add_terms(self.memory_encoder.model, self.reader_adapter, sign=-1)


def change_readers_weights(tensors: dict[str, Any], config: CoMemConfig, sign: int, source: Any) -> dict[str, Any]:
    """Return a checkpoint's tensors with the reader adapter merged into the backbone's weights, or taken out.

    Args:
        tensors (`dict`): Tensors or unread slices by their keys in the checkpoint.
        config ([`CoMemConfig`]): The configuration; `merged` is set in it.
        sign (`int`): 1 to merge, -1 to take out, which gives the earlier weights up to rounding.
        source (`str` or `os.PathLike`): The checkpoint, for messages.

    Raises:
        ValueError: If factors are missing or do not fit.
    """
    prefix, suffix = "reader_adapter.", ".lora_A.weight"
    halves = [key for key in tensors if key.startswith(prefix) and key.endswith(suffix)]
    names = [key.removeprefix(prefix).removesuffix(suffix) for key in halves]
    lora = config.reader_lora_config
    with torch.device("meta"):
        scales = CoMemAdapter({name: nn.Linear(1, 1) for name in names}, lora).scales
    tensors = dict(tensors)
    for name in names:
        key, other = f"backbone.model.{name}.weight", f"{prefix}{name}.lora_B.weight"
        if key not in tensors or other not in tensors:
            missing = other if key in tensors else key
            raise ValueError(f"{source} lacks the tensor {missing}; save, convert or download it again.")
        weight, a, b = (tensors[each][...] for each in (key, f"{prefix}{name}{suffix}", other))
        if (*b.shape, *a.shape) != (weight.shape[0], a.shape[0], a.shape[0], weight.shape[1]):
            raise ValueError(
                f"The reader adapter of {name} in {source} has factors of {tuple(b.shape)} and {tuple(a.shape)}, "
                f"which do not fit the weight of {tuple(weight.shape)}."
            )
        tensors[key] = (weight.float() + (b.float() @ a.float()) * (sign * scales[name])).to(weight.dtype)
    config.reader_lora_config = {**lora, "merged": sign > 0}
    return tensors


def foreign_adapters(backbone: nn.Module) -> list[str]:
    """Return the names of modules that PEFT has put around modules of a backbone."""
    return [
        name
        for name, module in backbone.named_modules()
        if hasattr(module, "original_module")  # `modules_to_save`
        or hasattr(module, "base_layer")
        and not isinstance(module, CoMemLoraLinear)
    ]


def _plain_lora(backbone: nn.Module) -> dict[str, tuple[torch.Tensor, torch.Tensor, float]]:
    """Return the factors and scales of PEFT's LoRA layers by their names in the backbone's `.model`.

    Raises:
        ValueError: If there are none, or anything but one plain LoRA adapter on the text model.
    """
    names = foreign_adapters(backbone)
    if not names:
        raise ValueError("There is no PEFT adapter on the backbone to adopt.")
    found = {}
    for name in names:
        layer = backbone.get_submodule(name)
        adapters = list(getattr(layer, "lora_A", {}))
        is_text = name.startswith(f"model.{TEXT_MODEL}") and isinstance(base_layer(layer), nn.Linear)
        more = any(getattr(layer, part, {}).get(each) for part in ("lora_bias", "lora_variant") for each in adapters)
        if len(adapters) != 1 or not is_text or more or layer.merged or layer.disable_adapters:
            raise ValueError(
                f"What PEFT has put on {name!r} cannot become the reader adapter: that takes one LoRA adapter, "
                "active, not merged and without biases or variants, on linear layers of the text model "
                "(`target_modules=r'.*language_model.*_proj'`)."
            )
        a, b = layer.lora_A[adapters[0]].weight, layer.lora_B[adapters[0]].weight
        found[name.removeprefix("model.")] = a, b, layer.scaling[adapters[0]]
    trained = [name for name, tensor in backbone.named_parameters() if tensor.requires_grad and ".lora_" not in name]
    if trained:
        raise ValueError(
            f"The adapter comes with trained weights of the backbone itself, such as {trained[0]!r} (`bias` or "
            "`modules_to_save`), which the memory encoder shares; adopt one without."
        )
    return found


def refuse_saved_modules(model: nn.Module):
    """Raise a `ValueError` if PEFT's `modules_to_save` has put copies of a model's own parts beside them."""
    held = [name for name, _ in model.named_modules() if name.endswith(".modules_to_save")]
    held = [name for name in held if not name.startswith("backbone.")]
    if held:
        raise ValueError(
            f"PEFT's `modules_to_save` holds a trained copy of {held[0].removesuffix('.modules_to_save')!r}, which a "
            "checkpoint of this model cannot hold; save it with PEFT's own methods, or leave it out of "
            "`modules_to_save` and train it by `requires_grad_(True)`."
        )


__all__ = [
    "MERGED",
    "READERS",
    "CoMemReaderMixin",
    "change_readers_weights",
    "foreign_adapters",
    "refuse_saved_modules",
]
