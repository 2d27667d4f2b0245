"""The table of what is compared: a row for each training, and one place for all of its settings."""

from dataclasses import asdict, dataclass, field
from typing import Any

from recipes.atlas_small.architecture import MEMORY_ENCODER


# What all rows have in common. Items stand in random order, because the figures are about a true item at any place.
BASE = {
    "learning_rate": 1e-3,
    "muon_learning_rate": 3e-3,
    "max_grad_norm": 1.0,
    "max_memories": 3,
    "shuffle_memories": True,
}


@dataclass(frozen=True)
class Row:
    """A training, by its difference from the default.

    Args:
        key (`str`): Name of its folders, and of the row on the command line.
        note (`str`): What it does, for the table.
        arguments (`dict`): Fields of [`MemoryTrainingArguments`] on top of `BASE`.
        config (`dict`): Fields of [`CoMemConfig`] on top of the recipe's; dictionaries are merged.
        copies (`bool`): Whether a resampler starts from facts (see [`start_from_facts`]), or as that of any new model.
        parts (`tuple[str]`): The parts that are trained (see [`train_only`]); all without any.
        lengths (`tuple[int]`): Numbers of vectors that are measured beside all of them.
    """

    key: str
    note: str
    arguments: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    copies: bool = True
    parts: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Return what decides the result: all but the names."""
        own = {name: value for name, value in asdict(self).items() if name not in ("key", "note")}
        return {**own, "arguments": {**BASE, **self.arguments}, "config": self.merged_config()}

    def merged_config(self) -> dict[str, Any]:
        """Return the fields of [`CoMemConfig`], those of the recipe included."""
        merged = dict(MEMORY_ENCODER)
        for name, value in self.config.items():
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
        return merged


WITHOUT_MUON = {"muon_learning_rate": None}  # where no layers of a resampler are trained

ROWS = (
    Row(
        "default",
        "16 vectors, a mix of embeddings and second layer, items in random order, the answers' cross-entropy alone",
    ),
    Row("given-order", "the true item always first, as rows list it", {"shuffle_memories": False}),
    Row("random-number", "one to three items, a number drawn for each sample", {"min_memories": 1}),
    Row("distillation", "and the predictions of the backbone that reads the items", {"distillation_weight": 1.0}),
    Row("reconstruction", "and repeating the item's text from its memory", {"reconstruction_weight": 0.5}),
    Row("contrastive", "and InfoNCE between memory and question", {"contrastive_weight": 0.3}),
    Row("usual-start", "the resampler starts from random weights, as that of any new model", copies=False),
    Row("last-layer", "the last layer's states alone", config={"resampler_config": {"hidden_layers": "last"}}),
    Row("all-layers", "a learned mix of all layers", config={"resampler_config": {"hidden_layers": "all"}}),
    Row("mean-pooling", "means of segments, no resampler", WITHOUT_MUON, {"resampler_config": {"kind": "mean"}}),
    Row(
        "nested",
        "2, 4, 8 or 16 vectors, drawn for each sample",
        {"nested_memory_lengths": [2, 4, 8, 16]},
        lengths=(2, 4, 8),
    ),
    Row("vectors-1", "one vector per item", config={"num_memory_tokens": 1}),
    Row("vectors-2", "two vectors per item", config={"num_memory_tokens": 2}),
    Row("vectors-4", "four vectors per item", config={"num_memory_tokens": 4}),
    Row("vectors-8", "eight vectors per item", config={"num_memory_tokens": 8}),
    Row("resampler-only", "the adapter stays zero: the frozen backbone reads the items", parts=("resampler",)),
    Row("adapter-only", "the resampler stays as it was drawn", WITHOUT_MUON, parts=("adapter",)),
    Row(
        "text-adapter",
        "no adapter in the vision tower",
        config={"lora_config": {"target_modules": "language_model[.].*"}},
    ),
)
