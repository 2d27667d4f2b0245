"""Cost of encoding an item: floating-point operations, counted, and the time of the embedded model.

    python benchmarks/model/encode_cost.py

An item is a picture of 64 tokens (the most that an item's picture takes by default) and a text of 120 tokens. For the
shapes of Qwen2-VL-2B and 7B, models with few layers are run and counted; their difference is the cost of one more
layer, so the cost of the whole is known without its weights.
"""

import time

import torch
from checkpoint_size import BACKBONE_2B
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from trainable_share import BACKBONE as BACKBONE_7B
from transformers import Qwen2VLConfig

from comem_hf import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.default import default_path


PICTURE_TOKENS, TEXT_TOKENS = 64, 120


def raw_item(config: Qwen2VLConfig) -> dict[str, torch.Tensor]:
    """Make an item of random patches and tokens."""
    side = int((4 * PICTURE_TOKENS) ** 0.5)
    vision = config.vision_config
    pieces = [
        torch.full((1, 1), config.vision_start_token_id),
        torch.full((1, PICTURE_TOKENS), config.image_token_id),
        torch.full((1, TEXT_TOKENS), 1),
    ]
    input_ids = torch.cat(pieces, dim=1)
    return {
        "input_ids": input_ids,
        "attention_mask": torch.ones_like(input_ids),
        "pixel_values": torch.rand(side**2, 3 * vision.temporal_patch_size * vision.patch_size**2),
        "image_grid_thw": torch.tensor([[1, side, side]]),
    }


def count(backbone: dict, text_layers: int, vision_layers: int) -> int:
    """Count the operations to encode an item with so many layers, two for each multiplication and addition."""
    text = {**backbone["text_config"], "num_hidden_layers": text_layers}
    vision = {**backbone["vision_config"], "depth": vision_layers}
    config = Qwen2VLConfig(**{**backbone, "text_config": text, "vision_config": vision}, dtype=torch.bfloat16)
    model = CoMemForConditionalGeneration(CoMemConfig(backbone_config=config)).to(torch.bfloat16).eval()
    model.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        model.encode_memory(raw_item(config))
    return counter.get_total_flops()


def count_whole(backbone: dict) -> int:
    """Count the operations to encode an item with the whole model."""
    least, text, vision = count(backbone, 1, 1), count(backbone, 2, 1), count(backbone, 1, 2)
    text_layers, vision_layers = backbone["text_config"]["num_hidden_layers"], backbone["vision_config"]["depth"]
    return least + (text_layers - 1) * (text - least) + (vision_layers - 1) * (vision - least)


def seconds_per_item(batch_size: int = 32) -> float:
    """Measure the embedded model's seconds per item of its own bank."""
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    bank = MemoryBank.from_pretrained(default_path("bank"))
    items = [bank[item_id] for item_id in bank.ids[:batch_size]]
    for item in items:
        item.image = item.load_image() if not isinstance(item.image, Image.Image) else item.image
    times = []
    for _ in range(5):
        start = time.perf_counter()
        with torch.inference_mode():
            model.encode_memory(processor.process_memories([items]))
        times.append(time.perf_counter() - start)
    return sorted(times)[2] / batch_size


def main():
    """Count, time, print."""
    torch.set_num_threads(1)
    print(f"item: {PICTURE_TOKENS} tokens of picture, {TEXT_TOKENS} of text")
    for name, backbone in (("Qwen2-VL-2B", BACKBONE_2B), ("Qwen2-VL-7B", BACKBONE_7B)):
        print(f"{name:<22}{count_whole(backbone) / 1e12:.2f} TFLOP per item", flush=True)
    seconds = seconds_per_item()
    print(f"{'embedded default':<22}{1 / seconds:.0f} items/s on one core, preparation included")


if __name__ == "__main__":
    main()
