"""Converting a published checkpoint."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, GenerationConfig, PreTrainedConfig
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import cached_file

from ..modeling import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor
from ..modeling.adapter_comem import linear_layer_names
from ..modeling.checkpoint_comem import to_checkpoint_keys, without_local_paths
from ..modeling.remote_code_comem import model_auto_map
from .key_names import INFERENCE_COPY, RESAMPLER, RESAMPLER_KEYS_VALUES, RESAMPLER_NAMES, modern_name
from .low_rank import LowRankChange, factor_change
from .tensor_files import ShardWriter, TensorReader


# A change that is left out beyond this (and beyond rounding) was not low-rank.
MAX_RELATIVE_ERROR = 1e-3
ENCODER = "memory_encoder.model."


@dataclass
class ConversionReport:
    """
    What a conversion did.

    Args:
        output (`pathlib.Path`): The folder written.
        num_tensors (`int`): Tensors in it.
        rank (`int`, *optional*): Rank of the recovered adapter; `None` with `encoder="separate"`.
        errors (`dict[str, float]`): Relative error of each recovered layer.
        has_processor (`bool`): Whether the backbone came with a tokenizer, and so the output with a processor.
    """

    output: Path
    num_tensors: int = 0
    rank: int | None = None
    errors: dict[str, float] = field(default_factory=dict)
    has_processor: bool = False

    @property
    def max_error(self) -> float:
        """Largest relative error of a recovered layer."""
        return max(self.errors.values(), default=0.0)


def convert_checkpoint(
    source: str | os.PathLike,
    output: str | os.PathLike,
    *,
    backbone: str | os.PathLike | None = None,
    encoder: str = "adapter",
    resampler: dict[str, Any] | None = None,
) -> ConversionReport:
    """
    Converts a full merged checkpoint: encoder (`model.*`, `visual.*`), frozen copy of the backbone (`model_inf.*`) and
    resampler (`knowledge_processor.*`).

    The result answers as the published code does: `query_vision="encoder"`, `memory_order="reversed"`.

    Args:
        source (`str` or `os.PathLike`): Folder or repository with safetensors files.
        output (`str` or `os.PathLike`): Folder to write; must not exist or be empty. Appears only when complete.
        backbone (`str` or `os.PathLike`, *optional*): The backbone the checkpoint was made from. If given, it must be
            what the checkpoint holds; configuration, generation settings, tokenizer and image processor are taken from
            it.
        encoder (`str`, *optional*, defaults to `"adapter"`): `"adapter"` recovers the low-rank change of each linear
            layer by singular value decomposition; `"separate"` keeps the encoder's weights as they are.
        resampler (`dict`, *optional*): Keys of `resampler_config` that stand nowhere in a checkpoint:
            `num_attention_heads`, `head_dim`, `num_hidden_layers`.

    Returns:
        [`ConversionReport`]

    Raises:
        `ValueError`: If the layout is another, tensors are missing or left over, the sizes given for the resampler do
            not fit, `backbone` is another model, or the encoder's change is not low-rank.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"`output` must not exist or be an empty folder, got {str(output)!r}.")
    reader = TensorReader(source)
    names = _Names(reader)
    backbone_config = AutoConfig.from_pretrained(backbone) if backbone is not None else _source_config(source)
    config = CoMemConfig(
        backbone_config=backbone_config,
        num_memory_tokens=reader[RESAMPLER + "latents"].shape[1],
        resampler_config=_resampler_config(reader, resampler),
        encoder=encoder,
        memory_order="reversed",
        query_vision="encoder",
        backbone_name_or_path=None if backbone is None else str(backbone),
    )
    if backbone is not None:
        _refuse_other_backbone(reader, names, TensorReader(backbone))

    output.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=output.parent, prefix=f"{output.name}."))
    partial.chmod(0o755)
    try:
        report = _write(reader, names, config, partial)
        report.has_processor = _write_companions(source if backbone is None else backbone, partial)
        if output.exists():
            output.rmdir()
        os.replace(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    report.output = output
    return report


class _Names:
    """Source names of encoder, backbone and resampler, by their name inside each in transformers 5."""

    def __init__(self, reader: TensorReader):
        self.encoder, self.backbone, self.resampler = {}, {}, []
        for key in reader.keys():
            if key.startswith(INFERENCE_COPY):
                self.backbone[modern_name(key.removeprefix(INFERENCE_COPY))] = key
            elif key.startswith(RESAMPLER):
                self.resampler.append(key.removeprefix(RESAMPLER))
            else:
                self.encoder[modern_name(key)] = key
        self.encoder.pop("lm_head.weight", None)  # the memory encoder has no use for a second head
        if not self.resampler:
            raise ValueError(f"{reader.source} holds no resampler (`{RESAMPLER}*`), without which there is no memory.")
        if not self.backbone:
            raise ValueError(
                f"{reader.source} holds no copy of the backbone (`{INFERENCE_COPY}*`); only the full merged layout "
                "can be converted."
            )
        strange = set(self.resampler) ^ {*RESAMPLER_NAMES, RESAMPLER_KEYS_VALUES}
        if strange:
            raise ValueError(f"{reader.source} holds another resampler than the published one: {sorted(strange)[:4]}.")


def _source_config(source: str | os.PathLike) -> PreTrainedConfig:
    values, _ = PreTrainedConfig.get_config_dict(source)
    return AutoConfig.for_model(**values)


def _resampler_config(reader: TensorReader, given: dict[str, Any] | None) -> dict[str, Any]:
    given = dict(given or {})
    inner, hidden_size = reader[RESAMPLER + "layers.0.to_q.weight"].shape
    heads, head_dim = given.get("num_attention_heads"), given.get("head_dim")
    if heads is None:
        heads = given["num_attention_heads"] = inner // head_dim if head_dim else 16
    if head_dim is None:
        head_dim = given["head_dim"] = inner // heads
    if heads * head_dim != inner:
        raise ValueError(
            f"`num_attention_heads` times `head_dim` must be {inner}, the width of this checkpoint's resampler, got "
            f"{heads} times {head_dim}."
        )
    return {**given, "ff_mult": reader[RESAMPLER + "layers.1.1.weight"].shape[0] // hidden_size}


def _refuse_other_backbone(reader: TensorReader, names: _Names, backbone: TensorReader):
    theirs = {modern_name(key): key for key in backbone.keys()}
    for name, key in names.backbone.items():
        if name not in theirs:
            if name == "lm_head.weight":  # tied to the embeddings
                continue
            raise ValueError(f"`backbone` {backbone.source} lacks {name}, which {reader.source} holds.")
        ours, its = reader[key], backbone[theirs[name]]
        if ours.shape != its.shape or not torch.equal(ours, its.to(ours.dtype)):
            raise ValueError(f"`backbone` {backbone.source} is not the one in {reader.source}: {name} differs.")


def _write(reader: TensorReader, names: _Names, config: CoMemConfig, folder: Path) -> ConversionReport:
    report = ConversionReport(folder)
    changes = {}
    if config.encoder == "adapter":
        changes = _low_rank_changes(reader, names, config, report)
        report.rank = max(1, *(change.rank for change in changes.values()))
        # The factors hold the scale, so that alpha / r is 1.
        config.lora_config |= {"r": report.rank, "lora_alpha": report.rank}
    with torch.device("meta"):
        model = CoMemForConditionalGeneration(config)
    shared = to_checkpoint_keys(model.get_expanded_tied_weights_keys(all_submodels=True))
    missing = {key: value.shape for key, value in to_checkpoint_keys(model.state_dict()).items() if key not in shared}

    writer = ShardWriter(folder)
    for key, tensor in chain(
        _backbone_tensors(reader, names),
        _adapter_tensors(reader, names, changes, report.rank) if changes else _separate_tensors(reader, names),
        _resampler_tensors(reader),
    ):
        if key in shared:
            continue
        if missing.pop(key, None) != tensor.shape:
            raise ValueError(f"{reader.source} does not fit its configuration at {key}, shape {tuple(tensor.shape)}.")
        writer.add(key, tensor)
    if missing:
        raise ValueError(f"{reader.source} lacks {len(missing)} tensors, such as {sorted(missing)[:4]}.")
    writer.finish()
    config.dtype = str(reader[next(iter(names.backbone.values()))].dtype).removeprefix("torch.")
    config.architectures = [CoMemForConditionalGeneration.__name__]
    config.auto_map = model_auto_map(CoMemForConditionalGeneration)
    custom_object_save(CoMemForConditionalGeneration, folder)  # its source files
    without_local_paths(config).save_pretrained(folder)
    report.num_tensors = writer.num_tensors
    return report


def _backbone_tensors(reader: TensorReader, names: _Names) -> Iterator[tuple[str, torch.Tensor]]:
    for name, key in names.backbone.items():
        yield f"backbone.{name}", reader[key]


def _separate_tensors(reader: TensorReader, names: _Names) -> Iterator[tuple[str, torch.Tensor]]:
    for name, key in names.encoder.items():
        yield ENCODER + name.removeprefix("model."), reader[key]


def _adapter_tensors(
    reader: TensorReader, names: _Names, changes: dict[str, LowRankChange], rank: int
) -> Iterator[tuple[str, torch.Tensor]]:
    for layer, change in changes.items():
        dtype = reader[names.encoder[f"model.{layer}.weight"]].dtype
        for half, factor in zip("AB", change.padded(rank), strict=True):
            yield f"{ENCODER}{layer}.lora_{half}.weight", factor.to(dtype)


def _resampler_tensors(reader: TensorReader) -> Iterator[tuple[str, torch.Tensor]]:
    prefix = "memory_encoder.resampler."
    for published, name in RESAMPLER_NAMES.items():
        tensor = reader[RESAMPLER + published]
        yield prefix + name, tensor[0] if published == "latents" else tensor
    halves = reader[RESAMPLER + RESAMPLER_KEYS_VALUES].chunk(2)
    for name, tensor in zip("kv", halves, strict=True):
        yield f"{prefix}layers.0.attention.{name}_proj.weight", tensor.clone()


def _low_rank_changes(
    reader: TensorReader, names: _Names, config: CoMemConfig, report: ConversionReport
) -> dict[str, LowRankChange]:
    with torch.device("meta"):
        layers = linear_layer_names(CoMemForConditionalGeneration(config).backbone.model)
    changes = {}
    for name, key in names.encoder.items():
        if name not in names.backbone:
            raise ValueError(f"{reader.source} holds {key}, which its backbone lacks.")
        merged, base = reader[key], reader[names.backbone[name]]
        layer = name.removeprefix("model.").removesuffix(".weight")
        if layer not in layers:
            if not torch.equal(merged, base):
                raise ValueError(
                    f"{key} was trained, but is no linear layer's weight; convert with encoder='separate'."
                )
            continue
        change = factor_change(merged, base)
        report.errors[layer] = change.error
        if change.rank * sum(merged.shape) >= merged.numel():
            raise ValueError(
                f"The change of {key} is not low-rank: at rank {change.rank} an adapter is no smaller than the layer; "
                "convert with encoder='separate'."
            )
        if change.error > max(MAX_RELATIVE_ERROR, change.noise):
            raise ValueError(
                f"The change of {key} cannot be recovered: rank {change.rank} leaves out {change.error:.1e} of it; "
                "convert with encoder='separate'."
            )
        changes[layer] = change
    return changes


def _write_companions(origin: str | os.PathLike, folder: Path) -> bool:
    if cached_file(origin, "generation_config.json", _raise_exceptions_for_missing_entries=False) is not None:
        GenerationConfig.from_pretrained(origin).save_pretrained(folder)
    if cached_file(origin, "tokenizer_config.json", _raise_exceptions_for_missing_entries=False) is None:
        return False
    CoMemProcessor.from_pretrained(origin).save_pretrained(folder)
    return True


__all__ = ["ConversionReport", "convert_checkpoint"]
