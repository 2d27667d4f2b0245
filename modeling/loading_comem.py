"""Building a model from a backbone, placed and quantized like any other, and the files of a memory encoder."""

import copy
import os
from typing import Any

from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel

from .backbone_comem import enclosed_backbone, named_backbone
from .placement_comem import part_of_device_map
from .tensor_files_comem import open_tensors


# With these a full checkpoint is loaded this way, too: weights can be shared only in their final place and form.
PLACING_ARGUMENTS = ("device_map", "quantization_config")


def load_onto_backbone(
    model_class: type[PreTrainedModel],
    path: str | os.PathLike,
    backbone: str | os.PathLike | PreTrainedModel | None,
    hub_kwargs: dict[str, Any],
    *,
    config: PreTrainedConfig | str | os.PathLike | None = None,
    dtype: Any = None,
    generation_config: GenerationConfig | None = None,
    variant: str | None = None,
    **kwargs,
) -> PreTrainedModel:
    """Load a backbone, then the memory encoder of a checkpoint onto it.

    Args:
        model_class (`type`): Class of the model.
        path (`str` or `os.PathLike`): Folder or repository of a full or memory-only checkpoint.
        backbone (`str`, `os.PathLike` or [`~transformers.PreTrainedModel`], *optional*): Backbone to take instead of
            the one that a memory-only checkpoint names.
        hub_kwargs (`dict`): Arguments for finding `path`.
        config, dtype, generation_config, **kwargs: As for [`~transformers.PreTrainedModel.from_pretrained`].
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
    arguments |= {**hub_kwargs, **kwargs, "device_map": part_of_device_map(arguments.get("device_map"))}
    if dtype not in (None, "auto"):
        arguments["dtype"] = dtype
    elif not isinstance(backbone, PreTrainedModel):
        arguments["dtype"] = config.dtype or "auto"

    tensors = open_tensors(path, variant, **hub_kwargs)
    if config.memory_only:
        backbone = named_backbone(path, config, backbone, arguments)
    else:
        backbone = enclosed_backbone(path, config, tensors, arguments)
    config.name_or_path = str(path)
    config.memory_only, config.dtype, config.backbone_config = False, backbone.dtype, backbone.config
    config._attn_implementation_internal = backbone.config._attn_implementation
    model = model_class(config, backbone=backbone)
    model.memory_encoder.place(backbone)
    encoder = {key: value[...] for key, value in tensors.items() if not key.startswith("backbone.")}
    model.load_memory_encoder(encoder, source=str(path))
    device_map = getattr(backbone, "hf_device_map", None)
    if device_map is not None:
        placed = {f"backbone.{name}".removesuffix("."): device for name, device in device_map.items()}
        model.hf_device_map = placed | {"memory_encoder": model.device}
    model.generation_config = _generation_config(path, hub_kwargs, generation_config, backbone)
    return model.eval()


def _generation_config(
    path: str | os.PathLike, hub_kwargs: dict[str, Any], given: GenerationConfig | None, backbone: PreTrainedModel
) -> GenerationConfig:
    if given is not None:
        return copy.deepcopy(given)
    try:
        return GenerationConfig.from_pretrained(path, **hub_kwargs)
    except OSError:  # no such file
        return copy.deepcopy(backbone.generation_config)


__all__ = ["PLACING_ARGUMENTS", "load_onto_backbone"]
