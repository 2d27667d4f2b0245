"""Prefill with a picture in the feed-forward layers, as in MemVP, against a picture in the sequence.

    python -m benchmarks.model.memvp_prefill [--repeat 7]

A model of Qwen2-VL-2B-Instruct's real shape in bfloat16 with random weights (6 GB of memory, a few minutes), which on
CPUs that multiply bfloat16 is several times as fast as float32. A prompt of 64 text tokens with a picture of 256: once
as 320 positions, once as 64 positions and 320 slots in every layer, 256 of them filled. The paper (arXiv:2405.05615)
reports a ratio of 4.8 for LLaMA-7B with these lengths; the vision tower, which both need, stands in rows of its own.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm
from transformers import AutoModelForImageTextToText, Qwen2VLConfig
from transformers.utils import logging

from benchmarks.speed.shared.shapes import BACKBONE_2B, SHAPES, random_backbone
from comem_hf.modeling.configuration_comem import CoMemConfig
from comem_hf.modeling.ffn_memory_comem import CoMemFfnMemory, compose_layers


TEXT_TOKENS, PICTURE_TOKENS, SLOTS = 64, 256, 320
PAPER = 4.8
SEQUENCE, FFN, TEXT, TOWER = "picture in the sequence", "picture in the slots", "text alone", "vision tower"


class Cases:
    """The computations that are compared, on one model.

    Args:
        model (`torch.nn.Module`): A Qwen2-VL; its layers get memory beside their feed-forward layers.
    """

    def __init__(self, model: torch.nn.Module):
        config = CoMemConfig(num_memory_tokens=0, ffn_memory_config={"source": "vision", "num_slots": SLOTS})
        self.model, self.reader = model, model.model.language_model
        compose_layers(self.reader)
        like = {"device": model.device, "dtype": model.dtype}
        self.hidden = self.reader.config.hidden_size
        with torch.device(model.device):
            self.memory = CoMemFfnMemory(config.ffn_memory_config, self.hidden, self.hidden).to(model.dtype).eval()
        self.text = torch.zeros(1, TEXT_TOKENS, self.hidden, **like)
        self.features = torch.zeros(1, PICTURE_TOKENS, self.hidden, **like)
        if model.device.type != "meta":
            for inputs in (self.text, self.features):
                inputs.normal_()
        vision, side = model.config.vision_config, int((4 * PICTURE_TOKENS) ** 0.5)
        size = 3 * vision.temporal_patch_size * vision.patch_size**2
        self.patches = torch.zeros(4 * PICTURE_TOKENS, size, **like)
        self.grid = torch.tensor([[1, side, side]])

    def sequence(self):
        """Prefill with the picture's features among the embeddings."""
        self._read(torch.cat([self.features, self.text], dim=1))

    def ffn(self):
        """Prefill with the picture's features in the slots; making the slots of them is part of it."""
        mask = torch.ones(
            1, PICTURE_TOKENS, dtype=torch.bool
        )  # its values are read, so it cannot be on the meta device
        self._read(self.text, ffn_memory=self.memory(self.features, mask))

    def text_alone(self):
        """Prefill without a picture."""
        self._read(self.text)

    def tower(self):
        """Make the picture's features of its patches."""
        self.model.get_image_features(self.patches, self.grid)

    def _read(self, embeddings: torch.Tensor, **kwargs):
        states = self.reader(inputs_embeds=embeddings, use_cache=True, **kwargs).last_hidden_state
        self.model.lm_head(states[:, -1:])

    def all(self) -> dict[str, Callable[[], None]]:
        """Return the computations by name."""
        return {SEQUENCE: self.sequence, FFN: self.ffn, TEXT: self.text_alone, TOWER: self.tower}


def count() -> dict[str, int]:
    """Count the operations of each case, two for each multiplication and addition, without weights."""
    config = Qwen2VLConfig(**BACKBONE_2B, attn_implementation="eager")
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16).eval()
    flops = {}
    for name, run in Cases(model).all().items():
        if name != TOWER:  # it reads the picture's size from a tensor
            with FlopCounterMode(display=False) as counter:
                run()
            flops[name] = counter.get_total_flops()
    return flops | {TOWER: tower_by_formula()}


def reader_by_formula(length: int, slots: int = 0) -> int:
    """Compute the operations of a prefill by the sizes: layers, attention to all, slots, projector, output layer."""
    sizes = BACKBONE_2B["text_config"]
    d, heads, kv_heads = sizes["hidden_size"], sizes["num_attention_heads"], sizes["num_key_value_heads"]
    projections = 2 * d * d + 2 * d * d * kv_heads // heads
    feed_forward = 3 * d * sizes["intermediate_size"]
    layer = length * (projections + feed_forward + 2 * length * d + 2 * slots * d)
    hidden = CoMemConfig(num_memory_tokens=0, ffn_memory_config={}).ffn_memory_config["projector_hidden"]
    projector = PICTURE_TOKENS * 2 * d * hidden if slots else 0
    return 2 * (sizes["num_hidden_layers"] * layer + projector + d * sizes["vocab_size"])


def tower_by_formula() -> int:
    """Compute the operations of the vision tower: patches, blocks, and the merger of four patches into one feature."""
    sizes, patches = BACKBONE_2B["vision_config"], 4 * PICTURE_TOKENS
    d = sizes["embed_dim"]
    block = patches * (4 * d * d + 2 * patches * d + 2 * d * sizes["mlp_ratio"] * d)
    merger = PICTURE_TOKENS * (4 * d * 4 * d + 4 * d * sizes["hidden_size"])
    return 2 * (patches * 1176 * d + sizes["depth"] * block + merger)


@torch.inference_mode()
def measure(cases: Cases, repeat: int) -> dict[str, float]:
    """Measure the median seconds of each case; they take turns, and the first round is not counted."""
    times = {name: [] for name in cases.all()}
    for _ in tqdm(range(repeat + 1), desc="Rounds"):
        for name, run in cases.all().items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(rounds[1:]) for name, rounds in times.items()}


def main() -> None:
    """Count, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="rounds per figure")
    repeat = parser.parse_args().repeat
    logging.disable_progress_bar()
    flops = count()
    formula = {
        SEQUENCE: reader_by_formula(TEXT_TOKENS + PICTURE_TOKENS),
        FFN: reader_by_formula(TEXT_TOKENS, SLOTS),
        TEXT: reader_by_formula(TEXT_TOKENS),
        TOWER: tower_by_formula(),
    }
    seconds = measure(Cases(random_backbone(SHAPES["qwen2-vl-2b"]())), repeat)

    print(f"{TEXT_TOKENS} tokens of text, {PICTURE_TOKENS} of a picture; bfloat16; medians of {repeat} rounds")
    print(f"{'':<26}{'seconds':>9}{'TFLOP':>9}{'by formula':>12}")
    for name, taken in seconds.items():
        print(f"{name:<26}{taken:>9.3f}{flops[name] / 1e12:>9.3f}{formula[name] / 1e12:>12.3f}")
    print(f"\n{'sequence against slots':<26}{'time':>9}{'FLOP':>9}")
    for name, more in (("reader alone", 0), ("with the vision tower", 1)):
        ratios = [
            (numbers[SEQUENCE] + more * numbers[TOWER]) / (numbers[FFN] + more * numbers[TOWER])
            for numbers in (seconds, flops)
        ]
        print(f"{name:<26}{ratios[0]:>8.2f}x{ratios[1]:>8.2f}x")
    print(f"{'paper, LLaMA-7B':<26}{PAPER:>8.2f}x")


if __name__ == "__main__":
    main()
