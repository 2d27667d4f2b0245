"""Names of tensors in published checkpoints and in checkpoints of this package."""

import re


INFERENCE_COPY = "model_inf."
RESAMPLER = "knowledge_processor."
OWN_PREFIX = "memory_encoder."
PEFT_PREFIX = "base_model.model."

# Names in `knowledge_processor.*` and, here, in `memory_encoder.resampler.*`. `to_kv` is missing as it is split.
RESAMPLER_NAMES = {
    "latents": "queries.weight",
    "proj_in.weight": "in_proj.weight",
    "proj_in.bias": "in_proj.bias",
    "layers.0.norm1.weight": "layers.0.attention.context_norm.weight",
    "layers.0.norm1.bias": "layers.0.attention.context_norm.bias",
    "layers.0.norm2.weight": "layers.0.attention.query_norm.weight",
    "layers.0.norm2.bias": "layers.0.attention.query_norm.bias",
    "layers.0.to_q.weight": "layers.0.attention.q_proj.weight",
    "layers.0.to_out.weight": "layers.0.attention.o_proj.weight",
    "layers.1.0.weight": "layers.0.mlp.norm.weight",
    "layers.1.0.bias": "layers.0.mlp.norm.bias",
    "layers.1.1.weight": "layers.0.mlp.up_proj.weight",
    "layers.1.3.weight": "layers.0.mlp.down_proj.weight",
    "proj_out.weight": "out_proj.weight",
    "proj_out.bias": "out_proj.bias",
    "norm_out.weight": "norm.weight",
    "norm_out.bias": "norm.bias",
}
RESAMPLER_KEYS_VALUES = "layers.0.to_kv.weight"


def modern_name(name: str) -> str:
    """Return the name in transformers 5 of a backbone's tensor, given its name in 4.49 or 5.

    `model.norm.weight` becomes `model.language_model.norm.weight`, `visual.*` becomes `model.visual.*`.
    """
    name = re.sub(r"^visual\.", "model.visual.", name)
    return re.sub(r"^model\.(?!language_model\.|visual\.)", "model.language_model.", name)


def without_peft(key: str, adapter: str) -> str | None:
    """Return the name that a tensor of a PEFT folder has in the model without PEFT's wrappers.

    `base_model.model.visual.merger.modules_to_save.default.ln_q.weight` becomes `visual.merger.ln_q.weight`. `None`
    for the frozen original of a module that is saved whole.

    Args:
        key (`str`): Name of a tensor, with or without the wrappers.
        adapter (`str`): Name of the adapter.
    """
    key = key.removeprefix(PEFT_PREFIX)
    if ".original_module." in key:
        return None
    key = key.replace(f".modules_to_save.{adapter}.", ".").replace(".modules_to_save.", ".")
    return key.replace(".base_layer.", ".")
