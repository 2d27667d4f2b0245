"""The settings of a PEFT adapter that decide what its factors mean."""

import json
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .key_names import modern_name
from .tensor_files import find_file


ADAPTER_CONFIG = "adapter_config.json"
# Fields of `LoraConfig` that can change what the factors mean, with the values that do not change it.
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


def read_peft_config(source: str | os.PathLike) -> dict[str, Any]:
    """Return the settings in `adapter_config.json`.

    Raises:
        ValueError: If the file holds no settings, if they are out of range, or if the adapter cannot be converted.
    """
    path = find_file(source, ADAPTER_CONFIG)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config.get("peft_type")
    except (ValueError, AttributeError):
        raise ValueError(f"{path} is no JSON object of settings; download it again.") from None
    if kind != "LORA":
        raise ValueError(f"{source} holds an adapter of type {kind!r}; only 'LORA' can be converted.")
    for field, harmless in HARMLESS.items():
        if config.get(field) not in harmless:
            raise ValueError(f"{source} was trained with `{field}` = {config[field]!r}, which cannot be converted.")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(CHANGES_BACKBONE):
        raise ValueError(
            f"{source} was trained with `init_lora_weights` = {start!r}, which changes the backbone, too; convert it "
            "to a plain LoRA with PEFT first."
        )
    config["lora_dropout"] = 0.0 if config.get("lora_dropout") is None else config["lora_dropout"]
    _check_number(path, "lora_dropout", config["lora_dropout"], "a number in [0, 1)", lambda value: 0 <= value < 1)
    for field, what, fits in (
        ("r", "a positive number", lambda value: value > 0),
        ("lora_alpha", "a finite number other than 0", lambda value: 0 < abs(value) < 1e38),
    ):
        _check_number(path, field, config.get(field), what, fits)
        field = f"{field.removeprefix('lora_').replace('r', 'rank')}_pattern"
        for pattern, value in _patterns(path, field, config.get(field)).items():
            _check_number(path, f"{field}[{pattern!r}]", value, what, fits)
    return config


def refuse_lost_layers(targets: Any, layers: Iterable[str], source: str | os.PathLike):
    """Raise a `ValueError` if an entry of `target_modules` has no factors in any layer.

    Args:
        targets (`list[str]` or other): The setting; only a list can be checked.
        layers (`Iterable[str]`): Names of the layers with factors.
        source (`str` or `os.PathLike`): The adapter's folder, for messages.
    """
    if not isinstance(targets, list):
        return
    # The keys may have been renamed since the training, but not the settings.
    layers = [f".{modern_name(layer)}" for layer in layers]
    for target in targets:
        if not any(layer.endswith((f".{target}", f".{modern_name(target)}")) for layer in layers):
            raise ValueError(
                f"{source} holds no factors for {target!r}, which its {ADAPTER_CONFIG} lists under `target_modules`; "
                "download it again, or remove the entry if the layer was never trained."
            )


def _check_number(path: Path, field: str, value: Any, what: str, fits):
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or not fits(value):
        raise ValueError(f"{path}: {field} must be {what}, got {value!r}.")


def _patterns(path: Path, field: str, patterns: Any) -> dict[str, Any]:
    try:
        for pattern in (patterns or {}).keys():
            re.compile(pattern)
    except (AttributeError, re.error):
        raise ValueError(f"{path}: {field} must map regular expressions to numbers, got {patterns!r}.") from None
    return patterns or {}
