"""Export of the memory encoder alone as a standard checkpoint of its backbone's type."""

import copy
import os
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.utils import cached_file

from comem_hf.conversion.output.export_folder import open_export
from comem_hf.conversion.output.replaceable import MERGE_REPORT, MERGED
from comem_hf.conversion.output.report import write_report
from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.modeling.adapter_comem import changes
from comem_hf.modeling.key_names_comem import to_checkpoint_keys
from comem_hf.modeling.loading_checks_comem import refuse_bad_numbers
from comem_hf.modeling.local_paths_comem import public_name, without_local_paths
from comem_hf.modeling.placement_comem import is_offloaded, is_quantized


def merge_encoder(
    model: str | os.PathLike | CoMemForConditionalGeneration,
    output: str | os.PathLike,
    *,
    backbone: str | os.PathLike | None = None,
    overwrite: bool = False,
    max_shard_size: int | str = "5GB",
) -> Path:
    """Write the memory encoder without its resampler as a plain Qwen2-VL or Qwen2.5-VL, adapter merged in.

    The result is the encoder alone. It reads an item as the memory encoder does and, with the backbone's output layer,
    can answer questions about it. It makes no memory vectors.

    Args:
        model (`str`, `os.PathLike` or [`CoMemForConditionalGeneration`]): Folder, repository or loaded model. A loaded
            model is not changed, so its merged weights need memory a second time.
        output (`str` or `os.PathLike`): Folder to write; it appears only when complete. Tokenizer and image processor
            are written if `model` is a folder or repository that has them.
        backbone (`str` or `os.PathLike`, *optional*): The backbone of a memory-only checkpoint, if not the one that
            its configuration names.
        overwrite (`bool`, *optional*, defaults to `False`): Replace an encoder that was merged there before.
        max_shard_size (`int` or `str`, *optional*, defaults to `"5GB"`): As for
            [`~transformers.PreTrainedModel.save_pretrained`].

    Returns:
        `pathlib.Path`: The folder. Sums are made in float32 and rounded once to the backbone's own type.

    Raises:
        ValueError: If `output` cannot be replaced, or if weights are quantized, offloaded or not numbers.
    """
    with open_export(model, output, backbone, overwrite, MERGED) as (model, folder, source):
        shell, weights = _merged(model, in_place=source is not None)
        refuse_bad_numbers(source or "the model", weights)
        shell.save_pretrained(folder, state_dict=weights, max_shard_size=max_shard_size)
        if source is not None:
            _write_companions(source, folder)
        write_report(folder / MERGE_REPORT, {"source": source and public_name(source)})
    return Path(output)


def _merged(model: CoMemForConditionalGeneration, in_place: bool) -> tuple[PreTrainedModel, dict[str, torch.Tensor]]:
    """Return a model of the backbone's type on the meta device, and its weights."""
    if any(is_quantized(module) or is_offloaded(module) for module in model.backbone.modules()):
        raise ValueError("Quantized or offloaded weights cannot be merged; load the model without either.")
    backbone, encoder = model.backbone, model.memory_encoder.model
    config = copy.deepcopy(without_local_paths(model.config).backbone_config)
    weights = dict(backbone.state_dict())
    if model.config.encoder == "separate":
        weights |= {f"model.{name}": tensor for name, tensor in encoder.state_dict().items()}
        embeddings, output_layer = encoder.get_input_embeddings().weight, backbone.get_output_embeddings().weight
        if config.tie_word_embeddings and not torch.equal(embeddings, output_layer):
            config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = False
    if model.config.encoder == "adapter":
        weights = to_checkpoint_keys({f"backbone.{name}": tensor for name, tensor in weights.items()})
        weights = {name.removeprefix("backbone."): tensor for name, tensor in weights.items()}
        for name, change in changes(encoder):
            key = f"model.{name}.weight"
            merged = weights[key].float() + change
            weights[key] = weights[key].copy_(merged) if in_place else merged.to(weights[key].dtype)
    with torch.device("meta"):
        shell = type(backbone)._from_config(config, dtype=backbone.dtype)
    shell.generation_config = copy.deepcopy(model.generation_config)
    return shell, weights


def _write_companions(source: str | os.PathLike, folder: Path):
    if cached_file(source, "tokenizer_config.json", _raise_exceptions_for_missing_entries=False) is None:
        return
    processor = CoMemProcessor.from_pretrained(source)
    tokenizer, image_processor = processor.tokenizer, processor.image_processor
    tokenizer.chat_template = processor.chat_template
    # Without a class name, the processor of the backbone's type is loaded.
    tokenizer._processor_class = image_processor._processor_class = None
    for settings in (tokenizer.init_kwargs, image_processor.__dict__):
        for name in ("auto_map", "processor_class"):
            settings.pop(name, None)
    tokenizer.save_pretrained(folder)
    image_processor.save_pretrained(folder)
