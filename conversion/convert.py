"""Conversion of a published checkpoint."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, GenerationConfig, PreTrainedModel
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import CONFIG_NAME, logging

from comem_hf.conversion.output.output_folder import output_folder
from comem_hf.conversion.output.replaceable import CHECKPOINT
from comem_hf.conversion.output.report import ConversionReport
from comem_hf.conversion.output.shard_writer import write_shards
from comem_hf.conversion.published.comparison import EMBEDDINGS
from comem_hf.conversion.published.layouts import PublishedCheckpoint, read_published
from comem_hf.conversion.published.peft_config import ADAPTER_CONFIG
from comem_hf.conversion.published.resampler import resampler_config, resampler_tensors
from comem_hf.conversion.published.tensor_files import LazyTensor, find_file
from comem_hf.conversion.weights.adapters import AdapterWeights
from comem_hf.conversion.weights.encoder_weights import adapter_weights, separate_weights
from comem_hf.conversion.weights.reader_weights import UNKNOWN, UNKNOWN_BASE, reader_weights
from comem_hf.conversion.weights.text_reader import UNKNOWN as UNKNOWN_TEXT
from comem_hf.conversion.weights.text_reader import TextReader, read_text_reader
from comem_hf.modeling import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.modeling.adapter_comem import linear_layers
from comem_hf.modeling.backbone_comem import commit_of
from comem_hf.modeling.configuration_comem import READER_LORA_DEFAULTS
from comem_hf.modeling.fingerprint_comem import checksum
from comem_hf.modeling.key_names_comem import to_checkpoint_keys
from comem_hf.modeling.local_paths_comem import is_repository_id, public_name, without_local_paths
from comem_hf.modeling.reader_comem import LANGUAGE_MODEL
from comem_hf.modeling.remote_code_comem import enter_remote_code
from comem_hf.modeling.resampler_comem import CoMemResampler
from comem_hf.repository.readable import refuse_unreadable

from .assumptions import adapter_backbone_name, assumptions


MAX_ERROR = 1e-3
CONFIG_NAMES = (CONFIG_NAME, ADAPTER_CONFIG)  # of a model and of an adapter
ENCODER = "memory_encoder.model."
READER = "reader_adapter."

logger = logging.get_logger(__name__)


def convert_checkpoint(
    source: str | os.PathLike,
    output: str | os.PathLike,
    *,
    backbone: str | os.PathLike | None = None,
    reader: str | os.PathLike | None = None,
    encoder: str = "adapter",
    resampler: dict[str, Any] | None = None,
    rank: int | None = None,
    max_error: float = MAX_ERROR,
    overwrite: bool = False,
) -> ConversionReport:
    """Convert a published checkpoint of any layout.

    Layouts are: fully merged, with or without the frozen copy of the backbone (`model_inf.*`), or a PEFT adapter
    folder. Tensors are copied from file to file one at a time. The result answers as the published code does:
    `query_vision="encoder"`, `memory_order="reversed"`. A reader that was trained, too, gets a reader adapter (see
    [`CoMemReaderMixin`]); a text-only reader gets its change merged into its weights.

    Args:
        source (`str` or `os.PathLike`): Folder or repository; safetensors or `.bin`, in one file or in shards, with
            the key names of transformers 4.49 or 5.
        output (`str` or `os.PathLike`): Folder to write. It appears only when complete.
        backbone (`str` or `os.PathLike`, *optional*): The backbone that the checkpoint was made from. It is needed
            unless the checkpoint holds a copy, or an adapter folder the untouched weights, with which it is compared.
            If given, it supplies configuration, generation settings, tokenizer and image processor.
        reader (`str` or `os.PathLike`, *optional*): The text-only language model that a reader was trained from, for
            checkpoints that have one. A merged checkpoint needs its configuration only.
        encoder (`str`, *optional*, defaults to `"adapter"`): `"adapter"` keeps the factors of an adapter folder, or
            recovers the low-rank change of each linear layer from merged weights by singular value decomposition;
            `"separate"` writes the encoder's full weights.
        resampler (`dict`, *optional*): Keys of `resampler_config` that a checkpoint does not contain:
            `num_attention_heads`, `head_dim`, `num_hidden_layers`. They default to those of the released models.
        rank (`int`, *optional*): Rank of the encoder's recovered adapter. Defaults to the number of singular values
            above rounding noise.
        max_error (`float`, *optional*, defaults to 1e-3): Part of a layer's change that a recovered adapter may leave
            out (relative Frobenius norm), in addition to the part that rounding explains.
        overwrite (`bool`, *optional*, defaults to `False`): Replace a checkpoint in `output` once the new one is
            complete.

    Returns:
        [`ConversionReport`], which is also written to `conversion.json`.

    Raises:
        ValueError: If something is wrong with the files, a part is missing, the sizes given for the resampler do not
            fit, `backbone` is another model, or a change of encoder or reader is not low-rank. No files are left then.
        OSError: If writing failed.
    """
    if rank is not None and (not isinstance(rank, int) or rank < 1):
        raise ValueError(f"`rank` must be a positive integer, got {rank!r}.")
    if not max_error >= 0:
        raise ValueError(f"`max_error` must be 0 or more, got {max_error!r}.")
    if rank is not None and encoder == "separate":
        raise ValueError(
            "`rank` (--rank) is for recovering the encoder's adapter, and encoder='separate' has none; leave it out."
        )
    refuse_unreadable("source", source, CONFIG_NAMES)
    refuse_unreadable("backbone", backbone, CONFIG_NAMES)
    refuse_unreadable("reader", reader, CONFIG_NAMES)
    with output_folder(output, CHECKPOINT, inputs=(source, backbone, reader), overwrite=overwrite) as folder:
        published = read_published(source, backbone, has_text_reader=reader is not None)
        text_reader = None if published.text_reader is None else read_text_reader(published, reader)
        config = CoMemConfig(
            backbone_config=published.config,
            num_memory_tokens=published.resampler["latents"].shape[1],
            resampler_config=resampler_config(published.resampler, resampler),
            encoder=encoder,
            memory_order="reversed",
            query_vision="encoder",
            backbone_name_or_path=_backbone_name(published),
            backbone_revision=None if backbone is None else commit_of(backbone, {}),
            **({} if text_reader is None else _fields_of_reader(text_reader, reader)),
        )
        report = ConversionReport(Path(output), published.layout, encoder)
        report.notes = assumptions(published, config, resampler)
        companions = _load_companions(published.config_source)  # before the slow part
        tensors = _tensors(published, text_reader, config, rank, max_error, report)
        for note in report.notes:
            if note in (UNKNOWN, UNKNOWN_BASE, UNKNOWN_TEXT):
                logger.warning(note)
        _write(folder, tensors)
        readers = {key: tensor.load for key, tensor in tensors.items()}
        config.memory_fingerprint = CoMemForConditionalGeneration.fingerprint_of_files(config, readers)
        report.num_tensors = len(tensors)
        dtype = published.backbone["model.language_model.embed_tokens.weight"].dtype
        config.dtype = str(dtype).removeprefix("torch.")
        config.architectures = [CoMemForConditionalGeneration.__name__]
        enter_remote_code(config, CoMemForConditionalGeneration)
        custom_object_save(CoMemForConditionalGeneration, folder)  # its source files
        without_local_paths(config).save_pretrained(folder)
        for companion in companions:
            companion.save_pretrained(folder)
        report.has_processor = any(isinstance(companion, CoMemProcessor) for companion in companions)
        report.save(
            folder,
            source=public_name(source),
            backbone=backbone and public_name(backbone),
            reader=reader and public_name(reader),
            adapter_backbone=adapter_backbone_name(published),
        )
    return report


def _fields_of_reader(text_reader: TextReader, name: str | os.PathLike) -> dict[str, Any]:
    fields = {"reader_config": text_reader.config, "reader_vocabulary": "backbone", "reader_prompt": "whole"}
    if text_reader.trained is False and is_repository_id(name):  # else it is no longer the one of that name
        fields |= {"reader_name_or_path": str(name), "reader_revision": commit_of(name, {})}
    return fields


def _tensors(
    published: PublishedCheckpoint,
    text_reader: TextReader | None,
    config: CoMemConfig,
    rank: int | None,
    max_error: float,
    report: ConversionReport,
) -> dict[str, LazyTensor]:
    with torch.device("meta"):
        backbone = AutoModelForImageTextToText.from_config(config.backbone_config)
        resampler = CoMemResampler(config)
    layers = [name for name, _ in linear_layers(backbone.model)]
    tensors = _with_prefix("backbone.", published.backbone) | resampler_tensors(published.resampler)
    expected = _with_prefix("backbone.", backbone.state_dict())
    expected |= to_checkpoint_keys(_with_prefix("memory_encoder.resampler.", resampler.state_dict()))
    if config.encoder == "separate":
        weights = separate_weights(published, layers)
        tensors |= {ENCODER + name.removeprefix("model."): tensor for name, tensor in weights.items()}
        expected |= _with_prefix(ENCODER, backbone.model.state_dict())
    tied = _with_prefix("backbone.", backbone.get_expanded_tied_weights_keys(all_submodels=True))
    if text_reader is not None:
        model = text_reader.on_meta()
        tensors |= _with_prefix(LANGUAGE_MODEL, text_reader.weights)
        expected |= _with_prefix(LANGUAGE_MODEL, model.state_dict())
        tied |= _with_prefix(LANGUAGE_MODEL, model.get_expanded_tied_weights_keys(all_submodels=True))
    _check(tensors, expected, tied, published.source)
    tensors = {key: tensor for key, tensor in tensors.items() if key not in tied}
    if text_reader is not None:
        report.reader_trained, report.reader_rank = text_reader.trained, text_reader.rank
        report.notes.append(text_reader.note)
    else:
        tensors |= _reader_adapter(published, tensors, layers, config, backbone, max_error, report)
    if config.encoder == "adapter":  # last, because it can take an hour
        adapter = adapter_weights(published, layers, rank, max_error)
        tensors |= _with_prefix(ENCODER, adapter.tensors)
        config.lora_config |= adapter.config
        report.rank = adapter.rank
        _report_errors(report, adapter)
    CoMemConfig.from_dict(config.to_dict())  # a configuration that cannot be loaded is not written
    return tensors


def _reader_adapter(
    published: PublishedCheckpoint,
    tensors: dict[str, LazyTensor],
    layers: list[str],
    config: CoMemConfig,
    backbone: PreTrainedModel,
    max_error: float,
    report: ConversionReport,
) -> dict[str, LazyTensor]:
    reader = reader_weights(published, layers, max_error)
    changed = {key: tensor for key, tensor in _with_prefix("backbone.", reader.backbone).items() if key in tensors}
    report.reader_trained = reader.trained
    report.notes += reader.notes
    if reader.adapter is not None:
        changed |= _with_prefix(READER, reader.adapter.tensors)
        config.reader_lora_config = {**READER_LORA_DEFAULTS, **reader.adapter.config, "merged": reader.merged}
        config.backbone_checksum = _checksum(published.backbone, backbone)
        report.reader_rank = reader.adapter.rank
        _report_errors(report, reader.adapter, "reader.")
    return changed


def _report_errors(report: ConversionReport, adapter: AdapterWeights, prefix: str = ""):
    report.errors |= _with_prefix(prefix, adapter.errors)
    report.noise |= _with_prefix(prefix, adapter.noise)


def _checksum(tensors: dict[str, LazyTensor], backbone: PreTrainedModel) -> str | None:
    """Return the checksum by which a memory-only checkpoint will know the backbone without the reader's change."""
    names = dict(backbone.named_parameters())
    dtype = tensors[EMBEDDINGS].dtype
    return checksum({name: tensor.load for name, tensor in tensors.items() if name in names}, dtype)


def _backbone_name(published: PublishedCheckpoint) -> str | None:
    if published.backbone_named:
        return published.backbone_source
    name = published.adapter_backbone
    return name if name and is_repository_id(name) else None


def _with_prefix(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in values.items()}


def _check(tensors: dict[str, LazyTensor], expected: dict[str, torch.Tensor], tied: dict[str, str], source: str):
    missing = sorted(expected.keys() - tensors.keys() - tied.keys())
    if missing:
        raise ValueError(
            f"{source} and its backbone lack {len(missing)} tensors, such as {missing[:4]}; download them again."
        )
    for key, tensor in tensors.items():
        if key not in expected:
            raise ValueError(f"The model that config.json describes has no {tensor.origin}.")
        if tensor.shape != expected[key].shape:
            raise ValueError(
                f"{tensor.origin} has shape {tuple(tensor.shape)}, but config.json asks for "
                f"{tuple(expected[key].shape)}."
            )


def _write(folder: Path, tensors: dict[str, LazyTensor]):
    total = sum(tensor.num_bytes for tensor in tensors.values())
    free = shutil.disk_usage(folder).free
    if total > free:
        raise OSError(
            errno.ENOSPC,
            f"it needs {total / 1e6:,.1f} MB, but only {free / 1e6:,.1f} are free; make room or choose another disk",
        )
    with logging.tqdm(total=total, desc="Writing", unit="B", unit_scale=True, leave=False) as progress:
        write_shards(folder, tensors, on_written=progress.update)


def _load_companions(origin: str | os.PathLike) -> list[GenerationConfig | CoMemProcessor]:
    """Return a backbone's generation settings and processor, which are saved beside the weights."""
    companions = []
    if find_file(origin, "generation_config.json"):
        companions.append(GenerationConfig.from_pretrained(origin))
    if find_file(origin, "tokenizer_config.json"):
        if not find_file(origin, "preprocessor_config.json") and not find_file(origin, "processor_config.json"):
            raise ValueError(
                f"{origin} has tokenizer_config.json, but no preprocessor_config.json, which the image processor is "
                "made from; add it, or remove the tokenizer to convert without a processor."
            )
        companions.append(CoMemProcessor.from_pretrained(origin))
    return companions
