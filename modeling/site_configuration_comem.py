"""The places where memory enters beside the input: their settings, and which of them go together."""

from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from .field_checks_comem import check_choice, check_not_negative, check_number, check_positive, is_number


FFN_MEMORY_DEFAULTS = {
    "num_slots": 320,
    "source": "vision",
    "projector_hidden": 128,
    "scale": 0.1,
    "value_scale": 0.01,
    "dropout": 0.1,
    "vision_adapter_rank": 12,
    "vision_adapter_scale": 0.1,
}
VISION_MEMORY_DEFAULTS = {"reduction_ratio": 4, "pooling": "mean_max", "alignment_weight": 0.1}
FFN_MEMORY_SOURCES = ("vision", "memory")
VISION_POOLINGS = ("mean_max", "mean_max_class")
READER_VOCABULARIES = ("reader", "backbone")
READER_PROMPTS = ("whole", "after_vision")


def as_reader_config(value: dict[str, Any] | PreTrainedConfig | None) -> PreTrainedConfig | None:
    """Return the configuration of a causal language model; raise a `ValueError` if it is none."""
    if value is None:
        return None
    is_made = isinstance(value, PreTrainedConfig)
    given = value.model_type if is_made else value.get("model_type") if isinstance(value, dict) else value
    if (is_made or isinstance(value, dict)) and isinstance(given, str) and given in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        config = value if is_made else CONFIG_MAPPING[given].from_dict(value)
        # Mappings of causal language models also name decoders of other kinds.
        if not getattr(config, "is_encoder_decoder", False) and config.get_text_config() is config:
            return config
    raise ValueError(
        "`reader_config` must be the configuration of a causal language model, one of text alone such as 'qwen2', "
        f"got {given!r}."
    )


def check_ffn_memory(config: PreTrainedConfig):
    """Raise a `ValueError` for the first wrong value of `ffn_memory_config`."""
    sizes = config.ffn_memory_config
    for name in ("num_slots", "projector_hidden"):
        check_positive(f"ffn_memory_config['{name}']", sizes[name])
    check_choice("ffn_memory_config['source']", sizes["source"], FFN_MEMORY_SOURCES)
    for name in ("scale", "value_scale", "vision_adapter_scale"):
        check_number(f"ffn_memory_config['{name}']", sizes[name])
    if not is_number(sizes["dropout"]) or not 0 <= sizes["dropout"] < 1:
        raise ValueError(f"`ffn_memory_config['dropout']` must be in [0, 1), got {sizes['dropout']!r}.")
    check_not_negative("ffn_memory_config['vision_adapter_rank']", sizes["vision_adapter_rank"])
    if sizes["source"] == "memory":
        if config.num_memory_tokens == 0:
            raise ValueError(
                "`ffn_memory_config['source']` is 'memory', the vectors of memory items, but `num_memory_tokens` "
                "is 0; give it a positive number."
            )
        if sizes["num_slots"] < config.num_memory_tokens:
            raise ValueError(
                f"`ffn_memory_config['num_slots']` must be at least `num_memory_tokens`, {config.num_memory_tokens}, "
                f"as an item fills so many slots, got {sizes['num_slots']!r}."
            )


def check_vision_memory(config: PreTrainedConfig):
    """Raise a `ValueError` for the first wrong value of `vision_memory_config`."""
    sizes = config.vision_memory_config
    check_positive("vision_memory_config['reduction_ratio']", sizes["reduction_ratio"])
    check_choice("vision_memory_config['pooling']", sizes["pooling"], VISION_POOLINGS)
    if sizes["pooling"] == "mean_max_class":
        raise ValueError(
            "`vision_memory_config['pooling']` must be 'mean_max' with this backbone, got 'mean_max_class': its "
            "vision tower has no class token."
        )
    check_number("vision_memory_config['alignment_weight']", sizes["alignment_weight"])


def check_reader(config: PreTrainedConfig):
    """Raise a `ValueError` if a text-only reader does not fit the backbone or another field."""
    if config.num_memory_tokens == 0:
        raise ValueError("`num_memory_tokens` must be a positive integer with `reader_config`, got 0.")
    for name in ("ffn_memory_config", "vision_memory_config", "reader_lora_config", "decode_position_offset"):
        if getattr(config, name) is not None:
            raise ValueError(
                f"`{name}` changes how the backbone reads, and cannot be combined with `reader_config`, which "
                f"reads in its place; got {getattr(config, name)!r}."
            )
    reader, text = config.reader_config.get_text_config(), config.backbone_config.get_text_config()
    if config.reader_vocabulary == "backbone" and reader.hidden_size != text.hidden_size:
        raise ValueError(
            "`reader_vocabulary` is 'backbone', so `reader_config` must have the width of the backbone's embedding "
            f"table and head, {text.hidden_size}, got {reader.hidden_size}; with 'reader' widths may differ."
        )
    if config.reader_vocabulary == "reader":
        tokens = [getattr(text, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")]
        tokens += [config.backbone_config.image_token_id, config.backbone_config.video_token_id]
        highest = max(token for token in tokens if isinstance(token, int))
        if reader.vocab_size <= highest:
            raise ValueError(
                f"`reader_config` has a vocabulary of {reader.vocab_size} tokens, but the backbone's tokenizer "
                f"uses ids up to {highest}; the two must have the same tokenizer."
            )


__all__ = [
    "FFN_MEMORY_DEFAULTS",
    "READER_PROMPTS",
    "READER_VOCABULARIES",
    "VISION_MEMORY_DEFAULTS",
    "as_reader_config",
    "check_ffn_memory",
    "check_reader",
    "check_vision_memory",
]
