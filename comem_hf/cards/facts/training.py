"""Records that a training run left in a model's folder, for its card."""

import json
from pathlib import Path
from typing import Any

from .places import WORDS


# Settings that the card shows, by their names in `training_settings.json`.
_SETTINGS = {
    "per_device_train_batch_size": "batch size per device",
    "gradient_accumulation_steps": "gradient accumulation",
    "world_size": "devices",
    "learning_rate": "learning rate",
    "muon_learning_rate": "learning rate of the resampler's layers (Muon)",
    "lr_scheduler_type": "schedule",
    "warmup_steps": "warm-up",
    "weight_decay": "weight decay",
    "max_grad_norm": "gradients clipped to",
    "optim": "optimizer",
    "distillation_weight": "weight of distillation",
    "reconstruction_weight": "weight of reconstruction",
    "contrastive_weight": "weight of the contrastive loss",
    "min_memories": "items per sample, at least",
    "max_memories": "items per sample, at most",
    "shuffle_memories": "items in random order",
    "nested_memory_lengths": "vectors per item, one of these for each sample",
    "seed": "seed",
}


def describe_training(folder: Path) -> dict[str, str]:
    """Name and value of the facts that a finished training run recorded; empty if no run has finished.

    Args:
        folder (`Path`): The model.

    Raises:
        ValueError: If the record cannot be read.
    """
    record = _read(folder / "training_settings.json")
    if not record.get("finished"):
        return {}
    settings = record.get("settings", {})
    rows = {}
    state = _read(folder / "trainer_state.json")
    if state:
        rows["updates"] = f"{state['global_step']:,} ({state['epoch']:.3g} epochs)"
        losses = [entry["loss"] for entry in state.get("log_history", ()) if "loss" in entry]
        if losses:
            rows["loss"] = f"{losses[0]:.4g} first, {losses[-1]:.4g} last logged"
    if settings.get("trained_parts"):
        rows["trained"] = ", ".join(WORDS.get(part, part) for part in settings["trained_parts"])
    if settings.get("items_in_prompt"):
        rows["memory items of the data"] = "written into the prompt"
    for name, shown in _SETTINGS.items():
        if settings.get(name):
            rows[shown] = f"{settings[name]:g}" if isinstance(settings[name], float) else str(settings[name])
    precision = next((name for name in ("bf16", "fp16") if settings.get(name)), None)
    rows["precision"] = f"{precision} mixed" if precision else "as loaded"
    return rows


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is not valid JSON: {error}.") from error
