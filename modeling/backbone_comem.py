"""Finding and loading the backbone that a memory encoder was made for."""

import json
import os
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.integrations import is_deepspeed_zero3_enabled
from transformers.utils import CONFIG_NAME, cached_file, logging
from transformers.utils.hub import extract_commit_hash

from .adapter_comem import base_layer
from .configuration_comem import CoMemConfig
from .loading_checks_comem import refuse_loading_errors, refuse_other_shape, refuse_other_weights
from .local_paths_comem import is_local
from .tensor_files_comem import open_tensors


HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
# Arguments for finding a checkpoint of this package, which would be wrong for its backbone.
OWN_ARGUMENTS = ("revision", "subfolder", "key_mapping", "trust_remote_code", "code_revision", "adapter_kwargs")

logger = logging.get_logger(__name__)


def load_backbone(
    name: str | os.PathLike, *, auto_class: Any = AutoModelForImageTextToText, **kwargs
) -> PreTrainedModel:
    """Load a plain vision-language model; refuse one with missing weights, which transformers would draw at random.

    Args:
        name (`str` or `os.PathLike`): Folder or repository.
        auto_class (`type`, *optional*): The auto class of another kind of model to load.
        **kwargs: As for [`~transformers.PreTrainedModel.from_pretrained`].

    Raises:
        ValueError: If weights are missing, of another shape, truncated or corrupt, or if `dtype` is not a type.
    """
    dtype = kwargs.get("dtype")
    if isinstance(dtype, str) and dtype != "auto" and not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise ValueError(f"`dtype` must be 'auto' or a type of torch such as 'bfloat16', got {dtype!r}.")
    try:
        backbone, info = auto_class.from_pretrained(
            name, **{**kwargs, "output_loading_info": True, "ignore_mismatched_sizes": True}
        )
    except (SafetensorError, json.JSONDecodeError, KeyError):
        open_tensors(name, **{key: kwargs[key] for key in HUB_ARGUMENTS if key in kwargs})  # names the file
        raise
    missing = set(info["missing_keys"]) - backbone.get_expanded_tied_weights_keys(all_submodels=True).keys()
    refuse_loading_errors(name, {**info, "missing_keys": missing, "unexpected_keys": ()})
    return backbone


def named_backbone(
    path: str | os.PathLike,
    config: CoMemConfig,
    backbone: str | os.PathLike | PreTrainedModel | None,
    arguments: dict[str, Any],
) -> PreTrainedModel:
    """Return the backbone of a memory-only checkpoint.

    Args:
        path (`str` or `os.PathLike`): The memory-only checkpoint, for messages.
        config ([`CoMemConfig`]): Its configuration, which holds the backbone's name, shape and checksum. If the
            backbone is loaded from a repository, the repository and its commit are entered here.
        backbone (`str`, `os.PathLike` or [`~transformers.PreTrainedModel`], *optional*): The backbone to take instead.
        arguments (`dict`): For the backbone's `from_pretrained`.

    Raises:
        ValueError: If no backbone is named, or if the backbone is another one.
        OSError: If the backbone cannot be found.
    """
    arguments = {name: value for name, value in arguments.items() if name not in OWN_ARGUMENTS}
    attention = _attention(config.backbone_config)
    refuse_adapters(backbone)
    if isinstance(backbone, PreTrainedModel):
        of_files = (*HUB_ARGUMENTS, "_from_auto", "_from_pipeline")
        wanted = [name for name, value in arguments.items() if value is not None and name not in of_files]
        if attention and attention != {name: _attention(backbone.config).get(name) for name in attention}:
            wanted.append("attn_implementation")
        if wanted:
            raise ValueError(f"{sorted(wanted)} are for loading a backbone, but `backbone` is a loaded model.")
    else:
        name = config.backbone_name_or_path if backbone is None else backbone
        if name is None:
            raise ValueError(
                f"{path} holds a memory encoder only and its configuration names no backbone; pass `backbone=`."
            )
        revision = (config.backbone_revision if backbone is None else None) or "main"
        if attention:
            arguments["attn_implementation"] = attention
        try:
            backbone = load_backbone(name, revision=revision, **arguments)
        except OSError as error:
            raise OSError(
                f"The backbone of {path}, {str(name)!r} at revision {revision!r}, cannot be loaded "
                f"({str(error).strip().splitlines()[0]}); pass a local folder or a loaded model as `backbone=`."
            ) from error
        if not is_local(name):
            config.backbone_name_or_path = str(name)
            config.backbone_revision = commit_of(name, {**arguments, "revision": revision}) or revision
    refuse_other_shape(config.backbone_config, backbone.config, path)
    refuse_other_weights(config.backbone_checksum, backbone, path)
    return backbone


def refuse_adapters(backbone: Any):
    """Raise a `ValueError` if a backbone is no plain model, but has PEFT's layers around its own.

    The memory encoder would have to go around them, and a checkpoint could not hold them.
    """
    if not isinstance(backbone, torch.nn.Module):
        return
    adapted = [name for name, module in backbone.named_modules() if base_layer(module) is not module]
    if adapted or not isinstance(backbone, PreTrainedModel):
        what = f"adapters on it, such as on {adapted[0]!r}" if adapted else f"the type {type(backbone).__name__}"
        raise ValueError(
            f"`backbone` must be a plain vision-language model, but it has {what}; merge them into it "
            "(`merge_and_unload()`), or put them on the model once the memory encoder is there."
        )


def enclosed_backbone(
    path: str | os.PathLike, config: CoMemConfig, tensors: dict[str, Any], arguments: dict[str, Any]
) -> PreTrainedModel:
    """Return the backbone inside a full checkpoint, placed and quantized like a backbone alone.

    Args:
        path (`str` or `os.PathLike`): The checkpoint, for messages.
        config ([`CoMemConfig`]): Its configuration.
        tensors (`dict`): Its tensors, as `open_tensors` returns them.
        arguments (`dict`): For the backbone's `from_pretrained`. The keys of a `device_map` are names in the
            backbone, as [`part_of_device_map`] returns them.

    Raises:
        ValueError: If tensors are missing, left over or of another shape.
    """
    backbone_class = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(config.backbone_config)]
    return enclosed_model(backbone_class, config.backbone_config, "backbone.", path, tensors, arguments)


def enclosed_model(
    model_class: type[PreTrainedModel],
    config: PreTrainedConfig,
    prefix: str,
    path: str | os.PathLike,
    tensors: dict[str, Any],
    arguments: dict[str, Any],
) -> PreTrainedModel:
    """Return a plain model inside a checkpoint, as [`enclosed_backbone`] does it.

    Args:
        model_class (`type`): Its class.
        config (`PreTrainedConfig`): Its configuration.
        prefix (`str`): What the keys of its tensors start with.
        path (`str` or `os.PathLike`), tensors (`dict`), arguments (`dict`): As for [`enclosed_backbone`].
    """
    unused = (*OWN_ARGUMENTS, *HUB_ARGUMENTS, "ignore_mismatched_sizes")
    state_dict = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    if is_deepspeed_zero3_enabled():  # then transformers takes tensors only, not what reads them
        state_dict = {key: value[...] for key, value in state_dict.items()}
    model, info = model_class.from_pretrained(
        None,
        config=config,
        state_dict=state_dict,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # and refused below, in one sentence
        **{name: value for name, value in arguments.items() if name not in unused},
    )
    refuse_loading_errors(path, info, prefix)
    return model


def commit_of(backbone: str | os.PathLike, backbone_kwargs: dict) -> str | None:
    """Return the commit at which a repository was just loaded; `None` for a folder, or if it is not known."""
    if os.path.isdir(backbone):
        return None
    hub_kwargs = {name: backbone_kwargs[name] for name in HUB_ARGUMENTS if name in backbone_kwargs}
    try:
        return extract_commit_hash(cached_file(backbone, CONFIG_NAME, **{**hub_kwargs, "force_download": False}), None)
    except OSError:  # it is not in the cache, or in a cache in another folder
        return None


def commit_in_cache(name: str | None, what: str = "backbone") -> str | None:
    """Return the latest commit of a repository in the cache; `None` for a folder, and with a warning if not found."""
    if name is None or is_local(name):
        return None
    commit = commit_of(name, {"local_files_only": True})
    if commit is None:
        logger.warning(
            f"The commit of {name} from which `{what}` was loaded is not known; give it as `{what}_revision`, or "
            "memory-only checkpoints will load the latest commit."
        )
    return commit


def _attention(config: PreTrainedConfig) -> dict[str, str]:
    """Return the attention implementations that a configuration asks for, in the form of its own argument."""
    parts = {"": config, **{name: getattr(config, name) for name in config.sub_configs}}
    chosen = {name: part._attn_implementation for name, part in parts.items()}
    return {name: value for name, value in chosen.items() if value is not None}


__all__ = [
    "commit_in_cache",
    "commit_of",
    "enclosed_backbone",
    "enclosed_model",
    "load_backbone",
    "named_backbone",
    "refuse_adapters",
]
