"""Memory that training takes on each GPU, computed from the configurations of Qwen2-VL 2B, 7B and 72B.

    python -m benchmarks.model.memory_per_gpu

The models are built on the meta device, with the default adapter and resampler, or with an encoder of their own
weights. What counts, in bytes:

* a frozen weight 2 (bfloat16); a trained one 16: itself, its gradient and the two states of AdamW, 4 each;
* with DDP all of that on each GPU; with ZeRO-2 the frozen weights, and of a trained one 4 for the copy that computes
  and its gradient, and a part of the 16; with FSDP2 and ZeRO-3 a part of everything, and what is gathered at a time:
  the two largest layers, input and output embeddings, and 4 (copy and gradient) for each weight of an adapter or of a
  resampler, or for each weight of the two largest layers of a separate encoder;
* what gradient checkpointing keeps, one row of `hidden` numbers per token, layer and way, and the largest layer's own
  states while it is computed again, 2 each; the logits and their gradient of a prompt's tokens, 4 each.

A sample is a prompt of 1,024 tokens (a picture of 256 in it) and three items of 512 (a picture of 256 in each). The
fixed cost of CUDA, of NCCL and of a fragmented allocator is not in it: leave a tenth.
"""

from typing import NamedTuple

import torch
from torch import nn
from transformers import Qwen2VLConfig

from benchmarks.speed.shared.shapes import BACKBONE_2B, BACKBONE_7B, BACKBONE_72B
from comem_hf import CoMemConfig, CoMemForConditionalGeneration


BACKBONES = {"2B": BACKBONE_2B, "7B": BACKBONE_7B, "72B": BACKBONE_72B}
WAYS = ("DDP", "ZeRO-2", "FSDP2, ZeRO-3")
GPUS = (1, 2, 4, 8, 16, 32)
FROZEN, TRAINED, COMPUTING = 2, 16, 4  # bytes per weight; COMPUTING is a copy in bfloat16 and its gradient
GB = 1e9
PROMPT, ITEMS, ITEM, PICTURE = 1024, 3, 512, 256  # tokens; a token of a picture is four patches


class Sizes(NamedTuple):
    """Numbers of weights, and of numbers that are kept for a backward pass."""

    frozen: int
    trained: int
    frozen_at_a_time: int
    """Of the frozen weights, those that a process holds at the same time when they are sharded."""
    trained_at_a_time: int
    states: int
    """What is kept of a sample, in numbers of 2 bytes."""


def sizes(backbone: dict, encoder: str = "adapter") -> Sizes:
    """Count the weights of a model with a new memory encoder, and the states of a sample.

    Args:
        backbone (`dict`): Fields of the backbone's configuration.
        encoder (`str`, *optional*, defaults to `"adapter"`): As in [`CoMemConfig`].
    """
    config = CoMemConfig(backbone_config=Qwen2VLConfig(**backbone), encoder=encoder)
    with torch.device("meta"):
        model = CoMemForConditionalGeneration(config)
    text, vision = config.backbone_config.text_config, config.backbone_config.vision_config
    layer = max(map(count, model.backbone.model.language_model.layers))
    embeddings = {model.get_input_embeddings().weight, model.get_output_embeddings().weight}
    trained = count(model.memory_encoder)
    is_shared = model.memory_encoder.shares_weights
    tokens = ITEMS * ITEM + PROMPT
    patches = 4 * PICTURE * (ITEMS if is_shared else ITEMS + 1)
    kept = text.num_hidden_layers * text.hidden_size * tokens + vision.depth * vision.embed_dim * patches
    # Of one layer: what its norms, projections, attention and feed-forward layer keep of the longer way.
    of_layer = (8 * text.hidden_size + 4 * text.intermediate_size) * max(ITEMS * ITEM, PROMPT)
    logits = 4 * PROMPT * text.vocab_size  # two in float32
    return Sizes(
        frozen=count(model.backbone),
        trained=trained,
        frozen_at_a_time=2 * layer + sum(weight.numel() for weight in embeddings),
        trained_at_a_time=trained if is_shared else 2 * layer + count(model.memory_encoder.resampler),
        states=kept + of_layer + logits,
    )


def count(module: nn.Module) -> int:
    """Count the weights of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def bytes_per_gpu(size: Sizes, way: str, gpus: int, samples: int = 1) -> float:
    """Return the bytes that training takes on each GPU.

    Args:
        size ([`Sizes`]): Of the model.
        way (`str`): Among [`WAYS`].
        gpus (`int`): Number of GPUs.
        samples (`int`, *optional*, defaults to 1): Samples per GPU and step.
    """
    states = FROZEN * size.states * samples
    if way == "DDP":
        return FROZEN * size.frozen + TRAINED * size.trained + states
    if way == "ZeRO-2":
        return FROZEN * size.frozen + (COMPUTING + TRAINED / gpus) * size.trained + states
    parts = (FROZEN * size.frozen + TRAINED * size.trained) / gpus
    return parts + FROZEN * size.frozen_at_a_time + COMPUTING * size.trained_at_a_time + states


def table(backbones: dict[str, dict] = BACKBONES) -> list[str]:
    """Return the lines of a table in Markdown: gigabytes per GPU by encoder, backbone, way and number of GPUs."""
    lines = [f"| encoder | backbone | trained | way | {' | '.join(f'{gpus} GPU' for gpus in GPUS)} |"]
    lines.append("|---" * (4 + len(GPUS)) + "|")
    for encoder in ("adapter", "separate"):
        for name, backbone in backbones.items():
            size = sizes(backbone, encoder)
            for way in WAYS:
                needs = (bytes_per_gpu(size, way, gpus) / GB for gpus in GPUS)
                cells = " | ".join(f"{need:,.0f}" for need in needs)
                lines.append(f"| {encoder} | {name} | {size.trained / 1e6:,.0f} M | {way} | {cells} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
