"""A PEFT adapter folder as the published training writes it."""

import os
import re
from dataclasses import dataclass
from typing import Any

from peft.utils.other import get_pattern_key

from .comparison import add_tensor
from .key_names import without_peft
from .peft_config import ADAPTER_CONFIG, read_peft_config, refuse_lost_layers
from .tensor_files import LazyTensor, find_file, read_tensors, read_weights


REST = "non_lora_state_dict.bin"
LORA_KEY = re.compile(r"(.+)\.lora_(A|B)(?:\.([^.]+))?\.weight")


@dataclass(frozen=True)
class LoraFactors:
    """A layer's adapter, `change = (alpha / rank) * b @ a`.

    Args:
        a (`LazyTensor` of shape `(rank, in)`), b (`LazyTensor` of shape `(out, rank)`): The factors.
        alpha (`float`): The scale.
    """

    a: LazyTensor
    b: LazyTensor
    alpha: float

    @property
    def rank(self) -> int:
        """Rank of the factors."""
        return self.a.shape[0]


@dataclass(frozen=True)
class PeftFolder:
    """The tensors of an adapter folder, by their names in the model without PEFT.

    Args:
        lora (`dict[str, LoraFactors]`): The factors by layer.
        others (`dict[str, LazyTensor]`): All other tensors.
        dropout (`float`): Dropout that the adapter was trained with.
        backbone_name (`str`, *optional*): The folder's name for the model that the adapter was trained from.
    """

    lora: dict[str, LoraFactors]
    others: dict[str, LazyTensor]
    dropout: float
    backbone_name: str | None


def read_peft_folder(source: str | os.PathLike) -> PeftFolder:
    """Read an adapter folder, but not yet its weights.

    Args:
        source (`str` or `os.PathLike`): Folder or repository with `adapter_config.json`.

    Raises:
        ValueError: If LoRA layers of a converted model cannot represent the adapter, or if a part of it is missing.
    """
    config = read_peft_config(source)
    tensors = list(read_weights(source, "adapter_model.safetensors", "adapter_model.bin").items())
    if rest := find_file(source, REST):
        tensors += read_tensors(rest).items()
    matches = {key: LORA_KEY.fullmatch(key) for key, _ in tensors}
    names = sorted({match[3] for match in matches.values() if match and match[3]})
    if len(names) > 1:
        raise ValueError(f"{source} holds several adapters, {names}; save a folder with only the one to convert.")
    name = names[0] if names else "default"

    halves: dict[str, dict[str, LazyTensor]] = {}
    others: dict[str, LazyTensor] = {}
    for key, tensor in tensors:
        if match := matches[key]:
            add_tensor(halves.setdefault(without_peft(match[1], name), {}), match[2], tensor)
        elif ".lora_" in key:
            raise ValueError(f"{tensor.origin} is no part of a plain LoRA layer; only plain LoRA can be converted.")
        elif (plain := without_peft(key, name)) is not None:
            add_tensor(others, plain, tensor)
    lora = {layer: _factors(layer, pair, config) for layer, pair in halves.items()}
    if lora:
        refuse_lost_layers(config.get("target_modules"), lora, source)
    return PeftFolder(lora, others, config["lora_dropout"], config.get("base_model_name_or_path"))


def _factors(layer: str, pair: dict[str, LazyTensor], config: dict[str, Any]) -> LoraFactors:
    if pair.keys() != {"A", "B"}:
        raise ValueError(f"{next(iter(pair.values())).origin} lacks its other factor.")
    a, b = pair["A"], pair["B"]
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1]:
        raise ValueError(f"{a.origin} and its other factor do not fit: {tuple(a.shape)} and {tuple(b.shape)}.")

    def setting(field: str, pattern: str) -> float:
        patterns = config.get(pattern) or {}
        return patterns.get(get_pattern_key(patterns, layer), config[field])

    rank = setting("r", "rank_pattern")
    if rank != a.shape[0]:
        raise ValueError(f"{a.origin} has rank {a.shape[0]}, but {ADAPTER_CONFIG} says {rank}.")
    alpha = setting("lora_alpha", "alpha_pattern")
    # rsLoRA scales by alpha / sqrt(rank).
    return LoraFactors(a, b, alpha * rank**0.5 if config.get("use_rslora") else alpha)
