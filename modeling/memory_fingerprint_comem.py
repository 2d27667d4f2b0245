"""The fingerprint by which memory banks know the model that encoded them."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from .adapter_comem import CoMemAdapter
from .configuration_comem import CoMemConfig
from .fingerprint_comem import backbone_checksum, fingerprint, settings_of_memory
from .key_names_comem import to_checkpoint_key
from .memory_encoder_comem import CoMemMemoryEncoder
from .weights_sample_comem import WeightsSample


class CoMemFingerprintMixin:
    """The methods of the model that say which checkpoint its memory vectors come from."""

    # Attributes that the model has.
    config: CoMemConfig
    backbone: PreTrainedModel
    memory_encoder: CoMemMemoryEncoder
    reader_adapter: CoMemAdapter | None

    # Of which weights and settings the last fingerprint is, and its value.
    _computed_fingerprint: tuple[WeightsSample, dict, str] | None = None
    # The same of the fingerprint that the model has until its weights are written to, and whether they were rounded.
    _loaded_fingerprint: tuple[WeightsSample, dict, str, bool] | None = None
    # The shared weights of which `config.backbone_checksum` tells, with a reader adapter merged or beside.
    _base_seen: WeightsSample | None = None

    def memory_fingerprint(self) -> str:
        """Return a SHA-256 of everything that decides which vectors an item gets.

        That is the weights and settings of backbone, adapter and resampler. Weights count as rounded to bfloat16, so
        that a model has the same fingerprint in float32 and in bfloat16. In float16, in 8 or 4 bit, and with a reader
        adapter, it has the one of the checkpoint from which it was loaded, until its weights are trained or replaced.
        Weights that were not changed since the last call are not read again.
        """
        settings = settings_of_memory(self.config)
        sample = self.memory_encoder.sample()
        if self._computed_fingerprint is not None:
            seen, of_settings, value = self._computed_fingerprint
            if settings == of_settings and sample.is_same(seen):
                return value
        value, is_rounded = None, self.is_rounded()
        if self._loaded_fingerprint is not None:
            seen, of_settings, loaded, was_rounded = self._loaded_fingerprint
            is_inexact = is_rounded or was_rounded or self._changes_shared_weights()
            if is_inexact and settings == of_settings and sample.is_rounded_from(seen):
                value, is_rounded = loaded, is_rounded or was_rounded
        if value is None:
            value = self._fingerprint_of(self.memory_encoder.tensors())
        settings = copy.deepcopy(settings)
        self._computed_fingerprint = sample, settings, value
        self._loaded_fingerprint = sample, settings, value, is_rounded
        return value

    def __getstate__(self) -> dict[str, Any]:
        # In a copy, or out of a pickle, weights are elsewhere in memory and versions begin anew; so it is told here
        # whether they are still those that were noted.
        state = self.__dict__.copy()
        loaded, base = self._loaded_fingerprint, self._base_seen
        state["_computed_fingerprint"] = None
        state["_is_as_loaded"] = loaded is not None and self.memory_encoder.sample().is_rounded_from(loaded[0])
        state["_is_as_base"] = base is not None and self._sample_of_base().is_rounded_from(base)
        return state

    def __setstate__(self, state: dict[str, Any]):
        is_as_loaded, is_as_base = state.pop("_is_as_loaded"), state.pop("_is_as_base")
        super().__setstate__(state)
        if self._loaded_fingerprint is not None:
            rest = self._loaded_fingerprint[1:]
            self._loaded_fingerprint = (self.memory_encoder.sample(), *rest) if is_as_loaded else None
        if is_as_base:
            self._base_seen = self._sample_of_base()

    def _fingerprint_of(self, tensors: dict[str, torch.Tensor | Callable[[], torch.Tensor]]) -> str:
        settings = settings_of_memory(self.config)
        if self._changes_shared_weights():
            settings["backbone_checksum"] = self._checksum_of_backbone()
        if settings.get("backbone_checksum"):
            # The encoder stands on the backbone without the reader adapter, wherever that one is.
            changed = {
                f"model.{name}{base}.weight" for name in self.reader_adapter.scales for base in ("", ".base_layer")
            }
            tensors = {name: tensor for name, tensor in tensors.items() if name not in changed}
        return fingerprint(tensors, settings)

    @classmethod
    def fingerprint_of_files(cls, config: CoMemConfig, tensors: Mapping[str, Callable[[], torch.Tensor]]) -> str:
        """Return the fingerprint of a full checkpoint, read from its files one tensor at a time.

        Args:
            config ([`CoMemConfig`]): Its configuration.
            tensors (mapping): Functions that read its tensors, by key.
        """
        with torch.device("meta"):
            model = cls(config)
        readers = {}
        for name in model.memory_encoder.tensors():
            stored = f"memory_encoder.{name}"
            readers[name] = tensors[stored if stored in tensors else to_checkpoint_key(f"backbone.{name}")]
        return model._fingerprint_of(readers)

    def is_rounded(self) -> bool:
        """Whether weights are in memory in a form that loses digits of bfloat16: in float16, 8 or 4 bit."""
        return self.precision() not in ("float32", "bfloat16")

    def precision(self) -> str:
        """Return the coarsest type of the weights: float32, bfloat16 or float16, or `"8 bit"` or `"4 bit"`."""
        quantizer = getattr(self.backbone, "hf_quantizer", None)
        if quantizer is not None:
            settings = quantizer.quantization_config
            known = {"load_in_4bit": "4 bit", "load_in_8bit": "8 bit"}
            return next((bits for name, bits in known.items() if getattr(settings, name, False)), "few bits")
        types = {parameter.dtype for parameter in self.parameters() if parameter.is_floating_point()}
        coarsest = next((dtype for dtype in (torch.float16, torch.bfloat16) if dtype in types), torch.float32)
        return str(coarsest).removeprefix("torch.")

    def _changes_shared_weights(self) -> bool:
        """Whether a reader adapter may be in the weights on which the encoder stands."""
        return self.reader_adapter is not None and self.memory_encoder.shares_weights

    def _note_base(self, fingerprint: str | None, was_rounded: bool = False):
        """Note the present weights as those of a checkpoint.

        Args:
            fingerprint (`str`, *optional*): The fingerprint of that checkpoint, if it is known.
            was_rounded (`bool`, defaults to `False`): Whether these weights, or those in the files, are rounded ones.
        """
        # Without a reader adapter, nobody asks whether the shared weights are still those.
        self._base_seen = None if self.config.reader_lora_config is None else self._sample_of_base()
        if fingerprint is not None:
            settings = copy.deepcopy(settings_of_memory(self.config))
            rounded = was_rounded or self.is_rounded()
            self._loaded_fingerprint = self.memory_encoder.sample(), settings, fingerprint, rounded

    def _sample_of_base(self) -> WeightsSample:
        return WeightsSample.of(self.backbone.parameters())

    def _checksum_of_backbone(self) -> str | None:
        """Return the checksum of the backbone without a reader adapter; `None` if it cannot be told any more.

        Weights that are quantized, or from which a reader adapter cannot be told, have none; then it is the one with
        which the model was loaded, if they have not changed since.
        """
        stored, lora = self.config.backbone_checksum, self.config.reader_lora_config
        if lora is None:
            return backbone_checksum(self.backbone) or stored
        if stored and (self._base_seen is None or self._sample_of_base().is_rounded_from(self._base_seen)):
            return stored
        return None if lora["merged"] else backbone_checksum(self.backbone)


__all__ = ["CoMemFingerprintMixin"]
