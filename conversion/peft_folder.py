"""A PEFT adapter folder as the published training writes it."""

import json
import os
import re
from dataclasses import dataclass
from typing import Any

from peft.utils.other import get_pattern_key

from .key_names import without_peft
from .tensor_files import LazyTensor, find_file, read_tensors, read_weights


ADAPTER_CONFIG = "adapter_config.json"
REST = "non_lora_state_dict.bin"
LORA_KEY = re.compile(r"(.+)\.lora_(A|B)(?:\.([^.]+))?\.weight")
# Fields of `LoraConfig` that change what the factors mean, with the values under which they do not.
HARMLESS = {
    "alora_invocation_tokens": (None,),
    "arrow_config": (None,),
    "bias": (None, "none"),
    "fan_in_fan_out": (None, False),
    "kasa_config": (None,),
    "layer_replication": (None, []),
    "lora_bias": (None, False),
    "monteclora_config": (None,),
    "target_parameters": (None, []),
    "trainable_token_indices": (None, [], {}),
    "use_bdlora": (None, False),
    "use_dora": (None, False),
    "use_qalora": (None, False),
    "velora_config": (None,),
}
CHANGES_BACKBONE = ("pissa", "olora", "corda", "loftq", "lora_ga")  # values of `init_lora_weights`


@dataclass(frozen=True)
class LoraFactors:
    """
    A layer's adapter, `change = (alpha / rank) * b @ a`.

    Args:
        a (`LazyTensor` of shape `(rank, in)`), b (`LazyTensor` of shape `(out, rank)`): The factors.
        alpha (`float`): Its scale.
    """

    a: LazyTensor
    b: LazyTensor
    alpha: float

    @property
    def rank(self) -> int:
        """Its rank."""
        return self.a.shape[0]


def read_peft_folder(source: str | os.PathLike) -> tuple[dict[str, LoraFactors], dict[str, LazyTensor], float]:
    """
    Returns the factors by layer and all other tensors, both by their names in the model without PEFT, and the dropout.

    Args:
        source (`str` or `os.PathLike`): Folder or repository with `adapter_config.json`.

    Raises:
        `ValueError`: If the adapter is something that LoRA layers of a converted model cannot be.
    """
    config = _read_config(source)
    tensors = read_weights(source, "adapter_model.safetensors", "adapter_model.bin")
    if rest := find_file(source, REST):
        tensors = {**read_tensors(rest), **tensors}
    matches = {key: LORA_KEY.fullmatch(key) for key in tensors}
    names = sorted({match[3] for match in matches.values() if match and match[3]})
    if len(names) > 1:
        raise ValueError(f"{source} holds several adapters, {names}; save the one to convert alone.")
    name = names[0] if names else "default"

    halves: dict[str, dict[str, LazyTensor]] = {}
    others: dict[str, LazyTensor] = {}
    for key, tensor in tensors.items():
        if match := matches[key]:
            halves.setdefault(without_peft(match[1], name), {})[match[2]] = tensor
        elif ".lora_" in key:
            raise ValueError(f"{tensor.origin} is no part of a plain LoRA layer, which is all that can be converted.")
        elif (plain := without_peft(key, name)) is not None:
            others[plain] = tensor
    lora = {layer: _factors(layer, pair, config) for layer, pair in halves.items()}
    return lora, others, config.get("lora_dropout", 0.0)


def _read_config(source: str | os.PathLike) -> dict[str, Any]:
    path = find_file(source, ADAPTER_CONFIG)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config.get("peft_type")
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is no JSON object of settings; download it again.") from None
    if kind != "LORA":
        raise ValueError(f"{source} holds an adapter of type {kind!r}; only 'LORA' can be converted.")
    for field in ("r", "lora_alpha"):
        if not isinstance(config.get(field), int | float):
            raise ValueError(f"{path} has no number under `{field}`, got {config.get(field)!r}.")
    for field, harmless in HARMLESS.items():
        if config.get(field) not in harmless:
            raise ValueError(f"{source} was trained with `{field}` = {config[field]!r}, which cannot be converted.")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(CHANGES_BACKBONE):
        raise ValueError(
            f"{source} was trained with `init_lora_weights` = {start!r}, which changes the backbone, too; convert it "
            "to a plain LoRA with PEFT first."
        )
    return config


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


__all__ = ["ADAPTER_CONFIG", "LoraFactors", "read_peft_folder"]
