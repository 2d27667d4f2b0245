"""The models that are measured: real shapes with random weights, so that nothing has to be downloaded."""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, Qwen2VLConfig

from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from comem_hf.default import default_path


SPECIAL_TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")

# config.json of Qwen/Qwen2-VL-2B-Instruct
BACKBONE_2B = {
    "text_config": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4},
    "tie_word_embeddings": True,
}

# config.json of Qwen/Qwen2-VL-7B-Instruct
BACKBONE_7B = {
    "text_config": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "mlp_ratio": 4},
    "tie_word_embeddings": False,
}

# config.json of Qwen/Qwen2-VL-72B-Instruct
BACKBONE_72B = {
    "text_config": {
        "hidden_size": 8192,
        "intermediate_size": 29568,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "vocab_size": 152064,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 8192, "num_heads": 16, "mlp_ratio": 4},
    "tie_word_embeddings": False,
}


# Small enough for training steps on two cores; a vocabulary of the real size, as logits take most of such a step.
BACKBONE_MEDIUM = {
    "text_config": {
        "hidden_size": 512,
        "intermediate_size": 2816,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
    },
    "vision_config": {"depth": 12, "embed_dim": 384, "hidden_size": 512, "num_heads": 6, "mlp_ratio": 4},
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Shape:
    """A model's shape, and the sizes of what it reads.

    Args:
        name (`str`): Its name in tables and files.
        backbone (`dict`): Fields of the backbone's configuration.
        text_layers (`int`), vision_layers (`int`): Layers of the whole model.
        memory (`dict`, *optional*): Other fields of [`CoMemConfig`] than the defaults.
        dtype (`torch.dtype`): Type of the weights.
        question_picture, item_picture, pasted_picture (`tuple[int, int]`): Patches of a picture in height and width:
            of the question's, of an item's that is encoded, and of an item's in the prompt.
        question_text, item_text (`int`): Tokens of text, for questions with those of the chat template.
    """

    name: str
    backbone: dict[str, Any]
    text_layers: int = 28
    vision_layers: int = 32
    memory: dict[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.bfloat16
    # 512 x 512 pixels are scaled to 504 x 504, 324 tokens; the processor scales an item's to 64 tokens.
    question_picture: tuple[int, int] = (36, 36)
    item_picture: tuple[int, int] = (16, 16)
    pasted_picture: tuple[int, int] = (36, 36)
    question_text: int = 55
    item_text: int = 150

    def with_depth(self, share: float) -> "Shape":
        """Return the shape with this share of its layers, at least one of text and one of vision."""
        text, vision = (max(1, round(share * layers)) for layers in (self.text_layers, self.vision_layers))
        return self.with_layers(text, vision)

    def with_layers(self, text: int, vision: int) -> "Shape":
        """Return the shape with so many layers."""
        return replace(self, text_layers=text, vision_layers=vision)

    def backbone_config(self) -> Qwen2VLConfig:
        """Return the backbone's configuration."""
        text = {**self.backbone["text_config"], "num_hidden_layers": self.text_layers, "layer_types": None}
        vision = {**self.backbone["vision_config"], "depth": self.vision_layers}
        # With the embedded default's special tokens, so that its processor fits every shape.
        ids = {name: getattr(default_config().backbone_config, name) for name in SPECIAL_TOKENS}
        return Qwen2VLConfig(**{**self.backbone, **ids, "text_config": text, "vision_config": vision})


@cache
def default_config() -> CoMemConfig:
    """Return the embedded default's configuration."""
    return CoMemConfig.from_pretrained(default_path("model"))


def embedded_default() -> Shape:
    """Return the shape of the embedded default, with the sizes of its own questions."""
    config = default_config()
    backbone = config.backbone_config.to_dict()
    fields = ("lora_config", "resampler_config", "num_memory_tokens")
    return Shape(
        "atlas-small",
        backbone,
        text_layers=config.backbone_config.text_config.num_hidden_layers,
        vision_layers=config.backbone_config.vision_config.depth,
        memory={name: getattr(config, name) for name in fields},
        dtype=torch.float32,
        # A flag of 56 x 84 pixels: 6 tokens.
        question_picture=(4, 6),
        item_picture=(4, 6),
        pasted_picture=(4, 6),
        question_text=45,
        item_text=42,
    )


def medium() -> Shape:
    """Return the shape at which training is compared: every picture takes 64 tokens."""
    return Shape(
        "medium",
        BACKBONE_MEDIUM,
        text_layers=12,
        vision_layers=12,
        dtype=torch.float32,
        question_picture=(16, 16),
        pasted_picture=(16, 16),
        item_text=100,
    )


SHAPES = {
    "atlas-small": embedded_default,
    "medium": medium,
    "qwen2-vl-2b": lambda: Shape("qwen2-vl-2b", BACKBONE_2B),
    "qwen2-vl-7b": lambda: Shape("qwen2-vl-7b", BACKBONE_7B),
}


def random_backbone(shape: Shape, device: str = "cpu") -> torch.nn.Module:
    """Make a plain backbone whose weights repeat one piece of noise, which is quick."""
    noise = torch.randn(2**20, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(device, shape.dtype)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(shape.backbone_config(), dtype=shape.dtype)
    model.to_empty(device=device)
    model.tie_weights()
    for module in model.modules():  # buffers that no file holds, such as rotary frequencies
        if any(not tensor.is_meta for tensor in module.buffers(recurse=False)):
            model._init_weights(module)
    for parameter in model.parameters():
        for piece in parameter.data.view(-1).split(len(noise)):
            piece.copy_(noise[: len(piece)])
    return model.eval()


def random_model(
    shape: Shape,
    device: str = "cpu",
    trainable: bool = False,
    backbone: torch.nn.Module | None = None,
    **config: Any,
) -> CoMemForConditionalGeneration:
    """Put a memory encoder whose adapter is not zero on a random backbone.

    Args:
        shape ([`Shape`]): The shape.
        device (`str`, *optional*): Where the weights are.
        trainable (`bool`, *optional*): Whether the memory encoder can be trained; otherwise all is frozen.
        backbone (`torch.nn.Module`, *optional*): The backbone to use, instead of a new one.
        **config: Fields of [`CoMemConfig`].
    """
    backbone = random_backbone(shape, device) if backbone is None else backbone
    model = CoMemForConditionalGeneration.from_backbone(backbone, **{**shape.memory, **config})
    with torch.no_grad():
        for name, parameter in model.memory_encoder_parameters().items():
            if name.endswith("/B"):  # of the adapter
                parameter.normal_(std=0.02)
    return model.eval() if trainable else model.eval().requires_grad_(False)
