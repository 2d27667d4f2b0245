"""Share of Qwen2-VL-7B-Instruct that would be trained, counted on its real shape without its weights.

    make trainable-share

The model is built on the meta device with the published settings: LoRA of rank 16 on every linear layer of text model
and vision tower, a resampler with 16 heads of 224. The paper reports that 1.2 % is trained and does not say of what.
The released training module holds the 7B model twice, as the encoder and, frozen, as the answering model with a second
copy of its output layer; the shares in the second table are of all that.
"""

import torch
from transformers import Qwen2VLConfig

from benchmarks.speed.shared.shapes import BACKBONE_7B
from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from comem_hf.training import trainable_share


PUBLISHED_RESAMPLER = 179_895_296  # by the shapes of the released Q-Former


def count(parameters) -> int:
    """Count the elements of the trainable ones among some parameters."""
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)


def main():
    """Build the model on the meta device, count, print."""
    config = CoMemConfig(
        backbone_config=Qwen2VLConfig(**BACKBONE_7B), resampler_config={"num_attention_heads": 16, "head_dim": 224}
    )
    with torch.device("meta"):
        model = CoMemForConditionalGeneration(config)
    share = trainable_share(model)
    resampler = count(model.memory_encoder.resampler.parameters())
    encoder = model.memory_encoder.model
    vision = count(encoder.visual.parameters())
    text = count(encoder.parameters()) - vision
    backbone = sum(parameter.numel() for parameter in model.backbone.parameters())

    rows = [
        ("backbone (frozen)", backbone, ""),
        ("LoRA on the text model", text, f"{text / backbone:.2%} of the backbone"),
        ("LoRA on the vision tower", vision, f"{vision / backbone:.2%}"),
        ("resampler", resampler, f"{resampler / backbone:.2%}; the released one has {PUBLISHED_RESAMPLER:,}"),
        ("trained", share.trainable, f"{share.trainable / share.total:.2%} of all {share.total:,}"),
    ]
    for name, number, note in rows:
        print(f"{name:<26}{number:>16,}  {note}")

    output_layer = model.backbone.lm_head.weight.numel()
    released = 2 * backbone + output_layer
    print("\nAs a share of what the released code holds (the backbone twice, its output layer a third time):")
    for name, trained in [
        ("LoRA and resampler", share.trainable),
        ("with LoRA of rank 8", share.trainable - (text + vision) // 2),
        ("resampler alone", resampler),
    ]:
        print(f"{name:<26}{trained / (released + trained):>16.2%}  of {released + trained:,}")
    print(
        "\nSo 1.2 % fits a share of two models: of one model, as held here, the same weights are twice as much.\n"
        "The rank of the released scripts, 16, gives 1.3 %; rank 8 would give 1.2 %."
    )


if __name__ == "__main__":
    main()
