"""Export of the adapter alone as a standard PEFT folder."""

import os
import re
from pathlib import Path

from peft import LoraConfig
from safetensors.torch import save_file

from comem_hf.conversion.output.export_folder import open_export
from comem_hf.conversion.output.replaceable import ADAPTER, ADAPTER_METADATA
from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.modeling.local_paths_comem import without_local_paths


WEIGHTS_NAME = "adapter_model.safetensors"


def export_adapter(
    model: str | os.PathLike | CoMemForConditionalGeneration,
    output: str | os.PathLike,
    *,
    backbone: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the adapter in PEFT's own format.

    `PeftModel.from_pretrained(backbone, output)` then gives the memory encoder's hidden states. The resampler is not
    exported, because PEFT would look for it inside the backbone. It stays in the checkpoint; a memory-only checkpoint
    holds it beside the adapter.

    Args:
        model (`str`, `os.PathLike` or [`CoMemForConditionalGeneration`]): Folder, repository or loaded model with
            `encoder="adapter"`.
        output (`str` or `os.PathLike`): Folder to write; it appears only when complete.
        backbone (`str` or `os.PathLike`, *optional*): The backbone of a memory-only checkpoint, if not the one that
            its configuration names.
        overwrite (`bool`, *optional*, defaults to `False`): Replace an adapter that was exported there before.

    Returns:
        `pathlib.Path`: The folder.

    Raises:
        ValueError: If `output` cannot be replaced, or if the memory encoder has full weights of its own.
    """
    with open_export(model, output, backbone, overwrite, ADAPTER) as (model, folder, _):
        if model.config.encoder != "adapter":
            raise ValueError(
                f"Only a model with `encoder='adapter'` has an adapter to export, this one has "
                f"{model.config.encoder!r}; merge it instead (`comem merge` without --adapter-only)."
            )
        tensors = {}
        adapter = model.memory_encoder.adapter
        for name in adapter.scales:
            for half, factor in zip("AB", adapter.pair(name), strict=True):
                tensors[f"base_model.model.model.{name}.lora_{half}.weight"] = factor.detach().contiguous()
        save_file(tensors, folder / WEIGHTS_NAME, metadata=ADAPTER_METADATA)
        _peft_config(model).save_pretrained(folder)
    return Path(output)


def _peft_config(model: CoMemForConditionalGeneration) -> LoraConfig:
    config = without_local_paths(model.config)
    settings = config.lora_config
    names, ranks, alphas = [], {}, {}
    adapter = model.memory_encoder.adapter
    for name, scale in adapter.scales.items():
        names.append(f"model.{name}")
        pattern = re.escape(names[-1])  # PEFT expects regular expressions here
        rank = adapter.pair(name)[0].shape[0]
        ranks[pattern], alphas[pattern] = rank, scale * rank
    return LoraConfig(
        r=settings["r"],
        lora_alpha=settings["lora_alpha"],
        lora_dropout=settings["lora_dropout"],
        target_modules=names,  # full names from the backbone's root, so that none matches another layer
        rank_pattern={name: rank for name, rank in ranks.items() if rank != settings["r"]},
        alpha_pattern={name: alpha for name, alpha in alphas.items() if alpha != settings["lora_alpha"]},
        base_model_name_or_path=config.backbone_name_or_path,
        revision=config.backbone_revision,
        inference_mode=True,
    )
