"""The published text-only reader as training has it: adapters on encoder and reader, beside their weights."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from comem_hf import CoMemForConditionalGeneration
from comem_hf.conversion.published.key_names import RESAMPLER_KEYS_VALUES, RESAMPLER_NAMES, modern_name
from comem_hf.modeling.key_names_comem import to_checkpoint_keys


PEFT, RESAMPLER, READER = "base_model.model.", "knowledge_processor.", "model_inf."


def make_text_reader(folder: Path, sizes: dict) -> CoMemForConditionalGeneration:
    """The published model before its adapters are merged; the reader's are PEFT's."""
    stored = load_file(folder / "lora_adapter" / "adapter_model.safetensors")
    tensors = {key.removeprefix(PEFT): tensor for key, tensor in stored.items()}
    settings = json.loads((folder / "lora_adapter" / "adapter_config.json").read_text())
    lora = {name: settings[name] for name in ("r", "lora_alpha")} | {"lora_dropout": 0.0}
    model = CoMemForConditionalGeneration.from_backbone(
        AutoModelForImageTextToText.from_pretrained(folder / "backbone"),
        reader=AutoModelForCausalLM.from_pretrained(folder / "reader"),
        num_memory_tokens=sizes["nq"],
        resampler_config={
            "num_hidden_layers": sizes["passes"],
            "num_attention_heads": sizes["qheads"],
            "head_dim": sizes["qdim"],
            "ff_mult": tensors[f"{RESAMPLER}layers.1.1.weight"].shape[0] // sizes["E"],
        },
        lora_config=lora,
        reader_vocabulary="backbone",
        query_vision="encoder",
    )
    ours = {}
    for key, tensor in tensors.items():
        for name in our_keys(key):
            ours[name] = our_part(name, key, tensor)
    model.load_memory_encoder(ours)
    _put_adapters_on_reader(model.reader.language_model, tensors, lora)
    return model.eval()


def our_keys(key: str) -> list[str]:
    """The keys that a published tensor of encoder or resampler has in a checkpoint of ours; none for the reader's."""
    if key.startswith(READER):
        return []
    if not key.startswith(RESAMPLER):
        return ["memory_encoder." + modern_name(key)]
    name = key.removeprefix(RESAMPLER)
    names = ["layers.0.attention.k_proj.weight", "layers.0.attention.v_proj.weight"]
    return [f"memory_encoder.resampler.{each}" for each in names if name == RESAMPLER_KEYS_VALUES] or [
        f"memory_encoder.resampler.{RESAMPLER_NAMES[name]}"
    ]


def our_part(name: str, key: str, tensor: torch.Tensor) -> torch.Tensor:
    if key.endswith(RESAMPLER_KEYS_VALUES):  # keys, then values
        return tensor.chunk(2)["v_proj" in name]
    return tensor[0] if key.endswith("latents") else tensor


def gradients(model: CoMemForConditionalGeneration, published: str) -> torch.Tensor:
    """The gradient of a published tensor, named as PEFT names it in training."""
    key = published.removeprefix(PEFT).replace(".modules_to_save.default", "").replace(".default.", ".")
    if key.startswith(READER):
        name = published.removeprefix(PEFT + READER)
        return dict(model.reader.language_model.named_parameters())[name].grad
    parameters = to_checkpoint_keys(dict(model.named_parameters()))
    found = torch.cat([parameters[name].grad for name in our_keys(key)])
    return found[None] if key.endswith("latents") else found


def _put_adapters_on_reader(reader: nn.Module, tensors: dict[str, torch.Tensor], lora: dict):
    """Training asks for adapters on the encoder's layers, and PEFT puts them on layers of the same names here."""
    factors = {key.removeprefix(READER): tensor for key, tensor in tensors.items() if key.startswith(READER)}
    layers = sorted({key.partition(".lora_")[0] for key in factors})
    inject_adapter_in_model(LoraConfig(**lora, target_modules=layers), reader)
    parameters = dict(reader.named_parameters())
    with torch.no_grad():
        for key, tensor in factors.items():
            parameters[key.replace(".weight", ".default.weight")].copy_(tensor)
