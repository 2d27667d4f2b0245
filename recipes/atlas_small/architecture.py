"""The architecture of atlas-small: Qwen2-VL, a thousand times smaller."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor

from .comparing import start_comparing


HIDDEN_SIZE = 192
PATCH_SIZE, PATCHES_A_SIDE = 14, 4
PIXELS = (PATCHES_A_SIDE * PATCH_SIZE) ** 2  # every picture becomes a square of 4 x 4 patches, and those one token
NUM_LAYERS = 4
# The resampler has few layers and wide attention, so that a head can pass on half of a token's state. It reads the
# embeddings, among them the picture's token, and the states in front of the comparing layers: there a word knows the
# words before it, in the form in which the reader looks for it. With the last
# layer's states it learned far more slowly (`README.md`).
MEMORY_ENCODER = {
    "num_memory_tokens": 16,  # the picture, and a vector for each word of the facts (`learning/facts.py`)
    "lora_config": {"r": 32, "lora_alpha": 64, "lora_dropout": 0.0},
    "resampler_config": {
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "head_dim": 128,
        "share_layers": False,
        "hidden_layers": [0, NUM_LAYERS // 2],
    },
}


def new_backbone(tokenizer: PreTrainedTokenizerBase, num_layers: int = NUM_LAYERS) -> Qwen2VLForConditionalGeneration:
    """Make a randomly initialised atlas-small backbone for this tokenizer's vocabulary.

    Token embeddings start at unit variance, and the output layer has weights of its own, so that the output that a
    layer adds is about as large as its input. With the usual 0.02 the first layer's output was 500 times its input
    after training: only tokens pass such a layer, and memory vectors cannot be learned.
    """
    token_id = tokenizer.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN_SIZE,
            "intermediate_size": 384,
            "num_hidden_layers": num_layers,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e10, "mrope_section": [8, 12, 12]},
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 4,
            "embed_dim": 64,
            "num_heads": 4,
            "mlp_ratio": 4,
            "patch_size": PATCH_SIZE,
            "spatial_merge_size": PATCHES_A_SIDE,
            "hidden_size": HIDDEN_SIZE,
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    model = Qwen2VLForConditionalGeneration(config)
    start_comparing(model)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def new_processor(tokenizer: PreTrainedTokenizerBase) -> CoMemProcessor:
    """Make the processor of atlas-small, with small pictures both in the prompt and in memory items."""
    return CoMemProcessor(
        image_processor=Qwen2VLImageProcessorPil(
            min_pixels=PIXELS, max_pixels=PIXELS, patch_size=PATCH_SIZE, merge_size=PATCHES_A_SIDE
        ),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
        memory_min_pixels=PIXELS,
        memory_max_pixels=PIXELS,
    )


def new_model(backbone: Path, encoder: dict[str, Any] = MEMORY_ENCODER) -> CoMemForConditionalGeneration:
    """Make an untrained memory encoder on the trained backbone.

    Args:
        backbone (`Path`): Folder of the backbone.
        encoder (`dict`, *optional*): Fields of [`CoMemConfig`].
    """
    return CoMemForConditionalGeneration.from_backbone(str(backbone), **encoder)
