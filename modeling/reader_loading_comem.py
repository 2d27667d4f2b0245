"""Finding, loading and saving a text-only reader."""

import os
from typing import Any

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)

from .backbone_comem import HUB_ARGUMENTS, OWN_ARGUMENTS, commit_in_cache, commit_of, enclosed_model, load_backbone
from .configuration_comem import CoMemConfig
from .fingerprint_comem import backbone_checksum
from .loading_checks_comem import TEXT_SHAPE
from .local_paths_comem import is_local
from .placement_comem import execution_device, readers_part_of_device_map
from .reader_adapter_comem import foreign_adapters
from .reader_comem import LANGUAGE_MODEL, refuse_unfit_reader
from .site_configuration_comem import as_reader_config


def load_reader(
    reader: str | os.PathLike | PreTrainedModel,
    backbone: PreTrainedModel,
    revision: str | None,
    arguments: dict[str, Any] | None,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Return a text-only reader for a new model, and the fields of [`CoMemConfig`] that tell where it is from.

    Args:
        reader (`str`, `os.PathLike` or [`~transformers.PreTrainedModel`]): Folder, repository or loaded model.
        backbone ([`~transformers.PreTrainedModel`]): The backbone, whose type and device a reader from files gets.
        revision (`str`, *optional*): The reader's commit, branch or tag.
        arguments (`dict`, *optional*): For the backbone's `from_pretrained`.

    Raises:
        ValueError: If it is no plain, text-only causal language model, or if weights are missing.
    """
    if isinstance(reader, str | os.PathLike):
        name, arguments = reader, {**(arguments or {}), "revision": revision or "main"}
        reader = _load(name, backbone, arguments)
        revision = revision if is_local(name) else commit_of(name, arguments) or revision
    else:
        refuse_unfit_reader(reader)
        name = reader.config.name_or_path or None
        revision = revision or commit_in_cache(name, "reader")
    name = None if name is None else str(name)
    return reader, {"reader_config": reader.config, "reader_name_or_path": name, "reader_revision": revision}


def reader_of_checkpoint(
    path: str | os.PathLike,
    config: CoMemConfig,
    tensors: dict[str, Any],
    backbone: PreTrainedModel,
    arguments: dict[str, Any],
) -> PreTrainedModel | None:
    """Return the text-only reader of a checkpoint, or `None` if it has none; its configuration is entered in `config`.

    Args:
        path (`str` or `os.PathLike`): The checkpoint, for messages.
        config ([`CoMemConfig`]): Its configuration.
        tensors (`dict`): Its tensors, as `open_tensors` returns them.
        backbone ([`~transformers.PreTrainedModel`]): The backbone, loaded.
        arguments (`dict`): For `from_pretrained`, with the `device_map` of the whole model.

    Raises:
        ValueError: If tensors are missing, left over or of another shape, or if the named reader is another one.
        OSError: If the named reader cannot be found.
    """
    if config.reader_config is None:
        return None
    arguments = arguments | {"device_map": readers_part_of_device_map(arguments.get("device_map"))}
    if config.memory_only and config.reader_name_or_path is not None:
        _refuse_second(path, config, tensors)
        reader = _named(path, config, backbone, arguments)
    else:
        reader_class = MODEL_FOR_CAUSAL_LM_MAPPING[type(config.reader_config)]
        arguments["dtype"] = backbone.dtype
        reader = enclosed_model(reader_class, config.reader_config, LANGUAGE_MODEL, path, tensors, arguments)
        _move(reader, backbone)
    config.reader_config = reader.config
    return reader


def checksum_of_named_reader(model: PreTrainedModel) -> str | None:
    """Return the checksum of a model's text-only reader if a memory-only checkpoint names it; `None` if unknown."""
    if model.reader is None or model.config.reader_name_or_path is None:
        return None
    return backbone_checksum(model.reader.language_model) or model.config.reader_checksum


def refuse_unsavable_reader(model: PreTrainedModel, memory_only: bool):
    """Raise a `ValueError` if a checkpoint would have to hold a text-only reader that it cannot hold."""
    if model.reader is None or memory_only and model.config.reader_name_or_path is not None:
        return
    reader = model.reader.language_model
    adapted = foreign_adapters(reader)
    if adapted or getattr(reader, "hf_quantizer", None) is not None:
        what = f"what PEFT has put on it, such as on {adapted[0]!r}" if adapted else "quantized weights"
        way_out = "merge that first (`merge_and_unload()`)" if adapted else "load it without quantization"
        raise ValueError(
            f"A checkpoint that holds its text-only reader cannot hold {what}; {way_out}, or save with "
            "`memory_only=True` and the reader's name in `config.reader_name_or_path`."
        )


def _load(name: str | os.PathLike, backbone: PreTrainedModel, arguments: dict[str, Any]) -> PreTrainedModel:
    arguments = {key: value for key, value in arguments.items() if key not in OWN_ARGUMENTS or key == "revision"}
    hub_kwargs = {key: value for key, value in arguments.items() if key in HUB_ARGUMENTS}
    as_reader_config(AutoConfig.from_pretrained(name, **hub_kwargs))  # before the weights are read
    reader = load_backbone(name, auto_class=AutoModelForCausalLM, **{**arguments, "dtype": backbone.dtype})
    refuse_unfit_reader(reader)
    _move(reader, backbone)
    return reader


def _named(
    path: str | os.PathLike, config: CoMemConfig, backbone: PreTrainedModel, arguments: dict[str, Any]
) -> PreTrainedModel:
    name, revision = config.reader_name_or_path, config.reader_revision or "main"
    attention = config.reader_config._attn_implementation
    if attention is not None:
        arguments = {**arguments, "attn_implementation": attention}
    try:
        reader = _load(name, backbone, {**arguments, "revision": revision})
    except OSError as error:
        raise OSError(
            f"The text-only reader of {path}, {name!r} at revision {revision!r}, cannot be loaded "
            f"({str(error).strip().splitlines()[0]}); pass a local folder as `reader_name_or_path=`."
        ) from error
    different = _different(config.reader_config, reader.config)
    if different:
        raise ValueError(f"{path} was made for another text-only reader: in {name!r}, {'; '.join(different)}.")
    checksum = None if config.reader_checksum is None else backbone_checksum(reader)
    if checksum not in (None, config.reader_checksum):
        raise ValueError(
            f"{path} was made for a text-only reader with the checksum {config.reader_checksum}, but the weights of "
            f"{name!r} have {checksum}."
        )
    return reader


def _different(expected: PreTrainedConfig, given: PreTrainedConfig) -> list[str]:
    pairs = {name: (getattr(expected, name, None), getattr(given, name, None)) for name in ("model_type", *TEXT_SHAPE)}
    return [f"{name} is {its}, not {ours}" for name, (ours, its) in pairs.items() if ours != its]


def _refuse_second(path: str | os.PathLike, config: CoMemConfig, tensors: dict[str, Any]):
    held = [key for key in tensors if key.startswith(LANGUAGE_MODEL)]
    if held:
        raise ValueError(
            f"{path} names its text-only reader, {config.reader_name_or_path!r}, but holds tensors of one, too, such "
            f"as {held[0]}; remove the name from its config.json, or save the model again."
        )


def _move(reader: PreTrainedModel, backbone: PreTrainedModel):
    """Move a reader to the backbone's device, unless it has been placed."""
    if not hasattr(reader, "hf_device_map") and getattr(reader, "hf_quantizer", None) is None:
        reader.to(execution_device(backbone.get_input_embeddings()))


__all__ = ["checksum_of_named_reader", "load_reader", "reader_of_checkpoint", "refuse_unsavable_reader"]
