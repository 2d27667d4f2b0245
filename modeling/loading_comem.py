"""Building a model from a backbone, placed and quantized like any other, and the files of a memory encoder."""

import copy
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel

from .backbone_comem import enclosed_backbone, named_backbone
from .key_names_comem import to_checkpoint_keys
from .placement_comem import BESIDE_BACKBONE, part_of_device_map
from .reader_adapter_comem import MERGED, change_readers_weights
from .reader_comem import LANGUAGE_MODEL
from .reader_loading_comem import reader_of_checkpoint
from .tensor_files_comem import open_tensors


PLACING_ARGUMENTS = ("device_map", "quantization_config")


def load_onto_backbone(
    model_class: type[PreTrainedModel],
    path: str | os.PathLike | None,
    backbone: str | os.PathLike | PreTrainedModel | None,
    reader: str,
    hub_kwargs: dict[str, Any],
    *,
    config: PreTrainedConfig | str | os.PathLike | None = None,
    dtype: Any = None,
    generation_config: GenerationConfig | None = None,
    variant: str | None = None,
    state_dict: Mapping[str, torch.Tensor] | None = None,
    **kwargs,
) -> PreTrainedModel:
    """Load a backbone, then the memory encoder of a checkpoint onto it.

    Weights are shared when they are in their final place and form.

    Args:
        model_class (`type`): Class of the model.
        path (`str` or `os.PathLike`, *optional*): Folder or repository of a full or memory-only checkpoint; `None`
            needs `config` and `state_dict`.
        backbone (`str`, `os.PathLike` or [`~transformers.PreTrainedModel`], *optional*): Backbone to take instead of
            the one that a memory-only checkpoint names.
        reader (`str`): Where a reader adapter goes, see `from_pretrained`.
        hub_kwargs (`dict`): Arguments for finding `path`.
        config, dtype, generation_config, state_dict, **kwargs: As for
            [`~transformers.PreTrainedModel.from_pretrained`].
        variant (`str`, *optional*): The same, but for the files at `path` only.
    """
    dtype = kwargs.pop("torch_dtype", None) if dtype is None else dtype
    arguments = {name: kwargs.pop(name) for name in PLACING_ARGUMENTS if name in kwargs}
    kwargs = {name: value for name, value in kwargs.items() if name not in hub_kwargs}
    if isinstance(config, PreTrainedConfig):
        config = copy.deepcopy(config)
    else:  # settings among the arguments go into the configuration, as transformers does it
        config, kwargs = model_class.config_class.from_pretrained(
            path if config is None else config, return_unused_kwargs=True, **hub_kwargs, **kwargs
        )
    config.check_per_call_fields()
    stored_config = copy.deepcopy(config)
    device_map = arguments.get("device_map")
    arguments |= {**hub_kwargs, **kwargs, "device_map": part_of_device_map(arguments.get("device_map"))}
    if dtype not in (None, "auto"):
        arguments["dtype"] = dtype
    elif not isinstance(backbone, PreTrainedModel):
        arguments["dtype"] = config.dtype or "auto"

    tensors = open_tensors(path, variant, **hub_kwargs) if state_dict is None else to_checkpoint_keys(state_dict)
    is_merged = config.reader_lora_config is not None and config.reader_lora_config["merged"]
    is_given = isinstance(backbone, PreTrainedModel)  # then its weights are the user's
    if config.memory_only:
        if is_merged:
            config.reader_lora_config = {**config.reader_lora_config, "merged": False}
        backbone = named_backbone(path, config, backbone, arguments)
    else:
        is_placed = any(arguments.get(name) is not None for name in PLACING_ARGUMENTS)
        if is_merged and reader != "adapter":
            tensors = change_readers_weights(tensors, config, -1, path)
        elif config.reader_lora_config is not None and not is_merged and reader == "adapter" and is_placed:
            tensors = change_readers_weights(tensors, config, 1, path)  # later, weights cannot be written to
        backbone = enclosed_backbone(path, config, tensors, arguments)
    text_reader = reader_of_checkpoint(path, config, tensors, backbone, {**arguments, "device_map": device_map})
    config.name_or_path = "" if path is None else str(path)
    config.memory_only, config.dtype, config.backbone_config = False, backbone.dtype, backbone.config
    config._attn_implementation_internal = backbone.config._attn_implementation
    with torch.device("meta"):  # of what is loaded below, nothing is drawn before
        model = model_class(config, backbone=backbone, reader=text_reader)
    model.memory_encoder.place(backbone)
    model._place_sites()
    if text_reader is not None:
        model.reader.place()
    if model.reader_adapter is not None:
        model.reader_adapter.place(backbone.model, backbone.dtype)
    apart = ("backbone.",) if text_reader is None else ("backbone.", LANGUAGE_MODEL)  # they are loaded
    own = {key: value[...] for key, value in tensors.items() if not key.startswith(apart) and key != MERGED}
    model.load_own_tensors(own, source=str(path))
    model._set_reader(reader, may_merge=not is_given)
    device_map = getattr(backbone, "hf_device_map", None)
    if device_map is not None:
        placed = {f"backbone.{name}".removesuffix("."): device for name, device in device_map.items()}
        beside = [name for name in BESIDE_BACKBONE if name != "reader" and getattr(model, name) is not None]
        beside += [f"reader.{name}" for name, _ in model.reader.named_children()] if text_reader is not None else []
        model.hf_device_map = placed | dict.fromkeys(beside, model.device)
    model.generation_config = _generation_config(path, hub_kwargs, generation_config, backbone)
    model.memory_encoder.note_weights()
    # In full precision, the fingerprint of what was loaded can be computed at any time.
    known = _fingerprint_of_checkpoint(model, stored_config, tensors, state_dict is None)
    model._note_base(known, was_rounded=stored_config.dtype == torch.float16)
    return model.eval()


def _fingerprint_of_checkpoint(
    model: PreTrainedModel, config: PreTrainedConfig, tensors: Mapping[str, Any], are_files: bool
) -> str | None:
    """Return the fingerprint that a checkpoint was saved with, or the one of its files if they are needed for it."""
    if config.memory_fingerprint or config.memory_only or not are_files or not model.is_rounded():
        return config.memory_fingerprint
    readers = {key: partial(value.__getitem__, ...) for key, value in tensors.items()}
    return type(model).fingerprint_of_files(config, readers)


def _generation_config(
    path: str | os.PathLike | None,
    hub_kwargs: dict[str, Any],
    given: GenerationConfig | None,
    backbone: PreTrainedModel,
) -> GenerationConfig:
    if given is not None or path is None:
        return copy.deepcopy(backbone.generation_config if given is None else given)
    try:
        return GenerationConfig.from_pretrained(path, **hub_kwargs)
    except OSError:  # no such file
        return copy.deepcopy(backbone.generation_config)


__all__ = ["PLACING_ARGUMENTS", "load_onto_backbone"]
