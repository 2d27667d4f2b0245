"""Configuration of a vision-language model with continuous memory."""

import copy
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .field_checks_comem import check_choice, check_layers, check_not_negative, check_positive, with_defaults
from .site_configuration_comem import (
    FFN_MEMORY_DEFAULTS,
    READER_PROMPTS,
    READER_VOCABULARIES,
    VISION_MEMORY_DEFAULTS,
    as_reader_config,
    check_ffn_memory,
    check_reader,
    check_vision_memory,
)


BACKBONES = ("qwen2_vl", "qwen2_5_vl")
ENCODERS = ("adapter", "separate")
MEMORY_ORDERS = ("given", "reversed")
QUERY_VISIONS = ("backbone", "encoder")
RESAMPLER_KINDS = ("perceiver", "mean")

RESAMPLER_DEFAULTS = {
    "kind": "perceiver",
    "hidden_layers": "last",
    "num_hidden_layers": 8,
    "share_layers": True,
    "num_attention_heads": None,
    "head_dim": None,
    "ff_mult": 4,
}
LORA_DEFAULTS = {
    "r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "target_modules": None,
    "rank_pattern": {},
    "alpha_pattern": {},
}
READER_LORA_DEFAULTS = {**LORA_DEFAULTS, "merged": False}
DICTIONARIES = (
    "resampler_config",
    "lora_config",
    "reader_lora_config",
    "ffn_memory_config",
    "vision_memory_config",
)


class CoMemConfig(PreTrainedConfig):
    """Configuration of a [`CoMemForConditionalGeneration`]: a frozen backbone and the memory encoder in front of it.

    `memory_order`, `query_vision`, `decode_position_offset` and `reader_prompt` are read at every call and may be
    changed on a loaded model, and so may the scales, dropout and loss weight in `ffn_memory_config` and
    `vision_memory_config`; all other fields decide the weights. A dictionary for one of the fields that is given to
    `from_pretrained` may hold some keys only; the others are those of the file.

    Args:
        backbone_config (`dict` or `PreTrainedConfig`, *optional*): Configuration of the backbone, of type `qwen2_vl`
            or `qwen2_5_vl`. Defaults to the one of Qwen2-VL.
        num_memory_tokens (`int`, *optional*, defaults to 8): Memory vectors per item. They enter the input, unless
            `ffn_memory_config` has the source `"memory"`. 0: the model has no memory encoder and takes no items; it
            then needs another place for memory.
        resampler_config (`dict`, *optional*): `num_hidden_layers` (8 passes), `share_layers` (`True`: all passes use
            one layer's weights), `num_attention_heads`, `head_dim` and `ff_mult` (4). With hidden size `h`, the heads
            default to `h // 64` but at most 16 (the published number), and `head_dim` to `h // num_attention_heads`.
            `kind`: `"perceiver"` (attention by learned queries) or `"mean"`, means of segments of the item's states
            (see [`CoMemMeanPooling`]), which uses none of the other sizes. `hidden_layers`: of which layers of the
            encoder's text model the states are read: `"last"`, or a learned mix (see [`CoMemLayerMix`]) of `"all"` or
            of a list of their numbers, from 1, the first layer, to the last one; 0 is the embeddings. The encoder has
            no layers above the deepest that is read.
        encoder (`str`, *optional*, defaults to `"adapter"`): `"adapter"`: the memory encoder is LoRA on the backbone's
            own weights, which are held only once; `"separate"`: it has full weights of its own, as in merged
            checkpoints.
        lora_config (`dict`, *optional*): Arguments of [`~peft.LoraConfig`]: `r` (16), `lora_alpha` (32),
            `lora_dropout` (0.05), `target_modules` (`None`: every linear layer of the text model and the vision tower,
            not `lm_head`; else a regular expression or a list of names inside the backbone's `.model`, such as
            `"language_model[.].*"` for an encoder without an adapter in the vision tower),
            `rank_pattern` and `alpha_pattern` (per-layer values). Unused with `encoder="separate"`.
        reader_lora_config (`dict`, *optional*): For a checkpoint whose reader, the backbone's text model, was trained,
            too: the settings of the reader adapter, as in `lora_config` (`target_modules=None`: every linear layer of
            the text model), and `merged` (`False`: the backbone's weights are those from before training; `True`: they
            hold the change already). `None`: the reader is the backbone as it is.
        memory_order (`str`, *optional*, defaults to `"given"`): `"given"`: the first item comes first; `"reversed"`:
            the first item stands next to the prompt, as in published decoding.
        query_vision (`str`, *optional*, defaults to `"backbone"`): Whose vision tower sees the prompt's images when
            memory is given: `"backbone"`, or `"encoder"` as in the published models. Without `memory_inputs` it is
            always the backbone's.
        decode_position_offset (`int`, *optional*): `None`: decoded tokens continue the positions of memory and prompt.
            A number replaces the length of the memory in the positions of decoded tokens; published decoding used 4000
            (`qwen2_vl`) and 8000 (`qwen2_5_vl`).
        memory_token (`str`, *optional*): Text of the placeholder token, for readers; the model uses only the id.
        memory_token_id (`int`, *optional*): Id that stands for a memory vector where ids are needed. Its embedding is
            never used. Defaults to the backbone's padding token, or its beginning-of-text token.
        ffn_memory_config (`dict`, *optional*): Memory in the feed-forward layers of the backbone's text model, as in
            MemVP: `num_slots` (320), `source` (`"vision"`: the features of the prompt's pictures, which leave the
            sequence; `"memory"`: the vectors of memory items, which then stay out of the prompt), `projector_hidden`
            (128), `scale` (0.1, of what the slots add), `value_scale` (0.01, of projected features), `dropout` (0.1,
            of the slots' activations in training), and, for the source `"vision"`, `vision_adapter_rank` (12; 0: none)
            and `vision_adapter_scale` (0.1) of adapters in the vision tower.
        vision_memory_config (`dict`, *optional*): Memory in the backbone's vision tower, as in Mema: one vector per
            picture, carried from layer to layer and conditioned on the question. `reduction_ratio` (4), `pooling`
            (`"mean_max"`: of an image's tokens; `"mean_max_class"`: also its class token, for towers that have one)
            and `alignment_weight` (0.1, of the alignment loss in training).
        reader_config (`dict` or `PreTrainedConfig`, *optional*): Configuration of a text-only causal language model
            that reads memory and prompt and answers in the backbone's place, which then only encodes: the items, and
            the prompt with its pictures.
        reader_vocabulary (`str`, *optional*, defaults to `"reader"`): Whose embedding table and head the reader uses:
            its own, which must be of the backbone's tokenizer, or the `"backbone"`'s, as in the published model, which
            must be of the reader's width.
        reader_prompt (`str`, *optional*, defaults to `"whole"`): What a text-only reader gets after the encoded
            prompt: `"whole"`: all of the prompt's embeddings, pictures included, as in published decoding;
            `"after_vision"`: those after the first picture's end, as in published training.
        reader_name_or_path (`str`, *optional*), reader_revision (`str`, *optional*): Where a memory-only checkpoint
            finds its text-only reader; without a name it holds the reader itself.
        reader_checksum (`str`, *optional*): Checksum of that reader's weights, as `backbone_checksum`.
        memory_only (`bool`, *optional*, defaults to `False`): Whether the checkpoint beside this file holds the memory
            encoder's own tensors alone.
        backbone_name_or_path (`str`, *optional*), backbone_revision (`str`, *optional*): Where a memory-only
            checkpoint finds its backbone.
        backbone_checksum (`str`, *optional*): Checksum of the backbone's weights, without a reader adapter, by which a
            memory-only checkpoint recognises them; `None` if they were quantized or rounded.
        memory_fingerprint (`str`, *optional*): Fingerprint of the saved model, by which memory banks recognise it, for
            readers of this file; a loaded model computes its own, except with rounded weights or a reader adapter.

    Raises:
        ValueError: If a value is out of range or unknown; the message names the field and the value.
    """

    model_type = "comem"
    _auto_class = "AutoConfig"  # saving also copies the source files
    sub_configs = {"backbone_config": AutoConfig, "reader_config": AutoConfig}
    # What a `Trainer` does not collect for `compute_metrics`.
    keys_to_ignore_at_inference = ["cache", "past_key_values", "rope_deltas", "image_outputs", "video_outputs"]

    def __init__(
        self,
        backbone_config: dict[str, Any] | PreTrainedConfig | None = None,
        num_memory_tokens: int = 8,
        resampler_config: dict[str, Any] | None = None,
        encoder: str = "adapter",
        lora_config: dict[str, Any] | None = None,
        memory_order: str = "given",
        query_vision: str = "backbone",
        decode_position_offset: int | None = None,
        memory_token: str | None = None,
        memory_token_id: int | None = None,
        ffn_memory_config: dict[str, Any] | None = None,
        vision_memory_config: dict[str, Any] | None = None,
        memory_only: bool = False,
        backbone_name_or_path: str | None = None,
        backbone_revision: str | None = None,
        backbone_checksum: str | None = None,
        memory_fingerprint: str | None = None,
        reader_lora_config: dict[str, Any] | None = None,
        reader_config: dict[str, Any] | PreTrainedConfig | None = None,
        reader_vocabulary: str = "reader",
        reader_prompt: str = "whole",
        reader_name_or_path: str | None = None,
        reader_revision: str | None = None,
        reader_checksum: str | None = None,
        **kwargs,
    ):
        self.backbone_config = _as_backbone_config(backbone_config)
        self.num_memory_tokens = num_memory_tokens
        self.resampler_config = with_defaults("resampler_config", resampler_config, RESAMPLER_DEFAULTS)
        self.encoder = encoder
        self.lora_config = with_defaults("lora_config", lora_config, LORA_DEFAULTS)
        if reader_lora_config is not None:
            reader_lora_config = with_defaults("reader_lora_config", reader_lora_config, READER_LORA_DEFAULTS)
        self.reader_lora_config = reader_lora_config
        self.memory_order = memory_order
        self.query_vision = query_vision
        self.decode_position_offset = decode_position_offset
        self.memory_token = memory_token
        self.memory_token_id = memory_token_id
        if ffn_memory_config is not None:
            ffn_memory_config = with_defaults("ffn_memory_config", ffn_memory_config, FFN_MEMORY_DEFAULTS)
        self.ffn_memory_config = ffn_memory_config
        if vision_memory_config is not None:
            vision_memory_config = with_defaults("vision_memory_config", vision_memory_config, VISION_MEMORY_DEFAULTS)
        self.vision_memory_config = vision_memory_config
        self.reader_config = as_reader_config(reader_config)
        self.reader_vocabulary = reader_vocabulary
        self.reader_prompt = reader_prompt
        self.reader_name_or_path = reader_name_or_path
        self.reader_revision = reader_revision
        self.reader_checksum = reader_checksum
        self.memory_only = memory_only
        self.backbone_name_or_path = backbone_name_or_path
        self.backbone_revision = backbone_revision
        self.backbone_checksum = backbone_checksum
        self.memory_fingerprint = memory_fingerprint
        self._resolve_resampler_heads()
        self._resolve_memory_token()
        self._check()
        if not type(self).__module__.startswith("transformers_modules."):
            kwargs.pop("custom_pipelines", None)  # they name the repository's code; an installed package has its own
        # The base class would otherwise reset it on the parts' configurations, which may be in use.
        attention = self.backbone_config._attn_implementation
        if self.reader_config is not None:
            attention = {"": attention, "backbone_config": attention}
        kwargs.setdefault("attn_implementation", attention)
        super().__init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs):
        """Make a configuration of a file's content; keys of dictionaries in `kwargs` go over those of the file."""
        given = {name: kwargs.pop(name) for name in DICTIONARIES if isinstance(kwargs.get(name), dict)}
        merged = {name: {**(config_dict.get(name) or {}), **values} for name, values in given.items()}
        return super().from_dict({**config_dict, **merged}, **kwargs)

    @property
    def hidden_size(self) -> int:
        """Size of the backbone's token embeddings, and so of a memory vector."""
        return self.backbone_config.get_text_config().hidden_size

    @property
    def mixed_layers(self) -> list[int]:
        """Numbers of the layers whose states the memory encoder mixes; none if it reads the last one's as they are."""
        layers = self.resampler_config["hidden_layers"]
        if layers == "all":
            return list(range(1, self.backbone_config.get_text_config().num_hidden_layers + 1))
        return [] if layers == "last" else list(layers)

    @property
    def deepest_layer(self) -> int:
        """Number of the deepest layer of the text model whose states the memory encoder reads."""
        return max(self.mixed_layers, default=self.backbone_config.get_text_config().num_hidden_layers)

    @property
    def ffn_source(self) -> str | None:
        """What fills the slots of the feed-forward layers: `"vision"`, `"memory"`, or nothing."""
        return None if self.ffn_memory_config is None else self.ffn_memory_config["source"]

    @property
    def max_items(self) -> int | None:
        """How many memory items the slots of the feed-forward layers hold; `None` where items fill no slots."""
        return self.ffn_memory_config["num_slots"] // self.num_memory_tokens if self.ffn_source == "memory" else None

    @property
    def vision_config(self) -> PreTrainedConfig:
        """The backbone's vision configuration; tools look for it here."""
        return self.backbone_config.vision_config

    def get_text_config(self, *args, **kwargs) -> PreTrainedConfig:
        """Return the reader's text configuration, from which `generate` takes the size of its cache."""
        config = self.backbone_config.get_text_config(*args, **kwargs)
        if self.reader_config is None:
            return config
        reader = self.reader_config.get_text_config(*args, **kwargs)
        if self.reader_vocabulary == "backbone" and reader.vocab_size != config.vocab_size:
            reader = copy.copy(reader)  # its size, but the backbone's head
            reader.vocab_size = config.vocab_size
        return reader

    def _resolve_resampler_heads(self):
        sizes = self.resampler_config
        if sizes["num_attention_heads"] is None and sizes["head_dim"] is None:
            sizes["num_attention_heads"] = min(16, max(1, self.hidden_size // 64))
        if sizes["num_attention_heads"] is None:
            check_positive("resampler_config['head_dim']", sizes["head_dim"])
            sizes["num_attention_heads"] = max(1, self.hidden_size // sizes["head_dim"])
        if sizes["head_dim"] is None:
            check_positive("resampler_config['num_attention_heads']", sizes["num_attention_heads"])
            sizes["head_dim"] = max(1, self.hidden_size // sizes["num_attention_heads"])

    def _resolve_memory_token(self):
        if self.memory_token_id is not None:
            return
        text_config = self.backbone_config.get_text_config()
        candidates = (getattr(text_config, "pad_token_id", None), getattr(text_config, "bos_token_id", None), 0)
        self.memory_token_id = next(token for token in candidates if token is not None)

    def _check(self):
        check_not_negative("num_memory_tokens", self.num_memory_tokens)
        for name in ("num_hidden_layers", "num_attention_heads", "head_dim", "ff_mult"):
            check_positive(f"resampler_config['{name}']", self.resampler_config[name])
        check_choice("resampler_config['kind']", self.resampler_config["kind"], RESAMPLER_KINDS)
        most = self.backbone_config.get_text_config().num_hidden_layers
        check_layers("resampler_config['hidden_layers']", self.resampler_config["hidden_layers"], most)
        for name in ("lora_config", "reader_lora_config"):
            lora = getattr(self, name)
            if lora is None:
                continue
            check_positive(f"{name}['r']", lora["r"])
            if not 0 <= lora["lora_dropout"] < 1:
                raise ValueError(f"`{name}['lora_dropout']` must be in [0, 1), got {lora['lora_dropout']!r}.")
            if not isinstance(lora.get("merged", False), bool):
                raise ValueError(f"`{name}['merged']` must be True or False, got {lora['merged']!r}.")
        check_choice("encoder", self.encoder, ENCODERS)
        check_choice("reader_vocabulary", self.reader_vocabulary, READER_VOCABULARIES)
        self.check_per_call_fields()
        self._check_memory_token()
        if self.ffn_memory_config is not None:
            check_ffn_memory(self)
        if self.vision_memory_config is not None:
            check_vision_memory(self)
        if self.reader_config is not None:
            check_reader(self)
        if self.num_memory_tokens == 0 and self.ffn_memory_config is None and self.vision_memory_config is None:
            raise ValueError(
                "`num_memory_tokens` must be a positive integer where there is neither `ffn_memory_config` nor "
                "`vision_memory_config`, got 0: the model would have no memory."
            )

    def check_per_call_fields(self):
        """Raise a `ValueError` if a field that may be changed on a loaded model has an invalid value."""
        check_choice("memory_order", self.memory_order, MEMORY_ORDERS)
        check_choice("query_vision", self.query_vision, QUERY_VISIONS)
        if self.query_vision == "encoder":
            for name in ("ffn_memory_config", "vision_memory_config"):
                changes_vision = name == "vision_memory_config" or self.ffn_source == "vision"
                if getattr(self, name) is not None and changes_vision:
                    raise ValueError(
                        f"`query_vision` must be 'backbone' with `{name}`, whose tensors belong to the backbone's "
                        "vision tower, got 'encoder'."
                    )
        check_choice("reader_prompt", self.reader_prompt, READER_PROMPTS)
        offset = self.decode_position_offset
        if offset is not None and (not isinstance(offset, int) or isinstance(offset, bool) or offset < 0):
            raise ValueError(f"`decode_position_offset` must be None or a non-negative integer, got {offset!r}.")

    def _check_memory_token(self):
        vocab_size = self.backbone_config.get_text_config().vocab_size
        token = self.memory_token_id
        vision_tokens = (self.backbone_config.image_token_id, self.backbone_config.video_token_id)
        if not isinstance(token, int) or not 0 <= token < vocab_size or token in vision_tokens:
            raise ValueError(
                f"`memory_token_id` must be an id below the vocabulary size {vocab_size} that is neither the image "
                f"nor the video token {vision_tokens}, got {token!r}."
            )


def _as_backbone_config(value: dict[str, Any] | PreTrainedConfig | None) -> PreTrainedConfig:
    if value is None:
        return CONFIG_MAPPING["qwen2_vl"]()
    if isinstance(value, dict):
        model_type = value.get("model_type", "qwen2_vl")
        check_choice("backbone_config['model_type']", model_type, BACKBONES)
        return CONFIG_MAPPING[model_type].from_dict(value)
    check_choice("backbone_config.model_type", getattr(value, "model_type", type(value)), BACKBONES)
    return value


__all__ = ["CoMemConfig"]
