"""Encoding items, compared with the bare forward pass of the backbone on the same tokens; and what padding wastes.

    python -m benchmarks.speed.encoding [--shape atlas-small] [--items 8] [--counts-only] [--device cuda]

Items have 64 tokens of picture and 150 of text; on the embedded default, 6 and 42. *Merged* is an encoder with weights
of its own, as they are when the adapter is merged for the length of a build: it computes no low-rank terms, and holds
the weights a second time. Merging in place would round the shared weights, and no question could be answered
meanwhile.
"""

import math
import random
from collections.abc import Callable

import torch

from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.measuring import Spread, count_flops, flops_by_depth, ratio, take_turns
from benchmarks.speed.shared.prompts import Prompts
from benchmarks.speed.shared.recording import Goal, record
from benchmarks.speed.shared.shapes import Shape, random_model
from comem_hf.modeling.modeling_comem import CoMemForConditionalGeneration


BARE, ADAPTER, MERGED = "bare forward pass", "encoder, adapter", "encoder, adapter merged"


def encoders(shape: Shape, items: int, device: str = "cpu") -> dict[str, Callable[[], object]]:
    """Return the ways through a model for the same items, by name."""
    inputs = Prompts(shape, device).items(items)
    model = random_model(shape, device)
    # Both share the backbone; only the encoder's own weights come a second time.
    merged = random_model(shape, device, backbone=model.backbone, encoder="separate")

    def encode(model: CoMemForConditionalGeneration) -> Callable[[], object]:
        return torch.no_grad()(lambda: model.encode_memory(inputs))

    return {
        BARE: torch.no_grad()(lambda: model.backbone.model(**inputs, use_cache=False)),
        ADAPTER: encode(model),
        MERGED: encode(merged),
    }


def padding(size: int, by_length: bool, items: int = 1024) -> float:
    """Return the share of a build's positions that are padding.

    Lengths are drawn as those of descriptions on Wikipedia are spread (log-normal, 50 words on average), as in
    `benchmarks/bank/batches.py`, with 66 positions of a picture each.

    Args:
        size (`int`): Items in a batch.
        by_length (`bool`): Whether the build puts items of about the same length together.
        items (`int`, *optional*): Items of a build's shard, within which it sorts.
    """
    draw = random.Random(0)
    lengths = [66 + max(3, min(400, int(draw.lognormvariate(math.log(40), 0.9)))) for _ in range(items)]
    lengths = sorted(lengths) if by_length else lengths
    computed = sum(max(batch) * len(batch) for batch in (lengths[i : i + size] for i in range(0, items, size)))
    return 1 - sum(lengths) / computed


def main() -> None:
    """Count, measure, record."""
    more = {"items": {"type": int, "default": 8, "help": "items in the batch"}}
    options = parse(__doc__, rounds=7, counts_only=True, **more)
    items = options.items
    flops = flops_by_depth(
        lambda shape: {name: count_flops(run) for name, run in encoders(shape, items).items()}, options.whole
    )
    measured, whole = flops.at(options.measured), flops.at(options.whole)
    cases = {} if options.counts_only else encoders(options.measured, items, options.device)
    seconds = take_turns(cases, options.rounds, options.device)
    rows = []
    for name in whole:
        row = {"way": name, "GFLOP per item": whole[name] / items / 1e9, "x in FLOP": whole[name] / whole[BARE]}
        if name in seconds:
            in_time, in_flops = ratio(seconds, name, BARE), measured[name] / measured[BARE]
            row |= {
                "x in FLOP, this depth": in_flops,
                "ms per item": Spread.of(seconds[name]).median / items * 1e3,
                "x in time": in_time,
                "time ratio / FLOP ratio": in_time.median / in_flops,
            }
        rows.append(row)
    goals = []
    if seconds and options.shape != "atlas-small":
        goals = [Goal("encoding, adapter: time ratio / FLOP ratio to bare", rows[1]["time ratio / FLOP ratio"], 1.02)]
    waste = {(size, way): padding(size, way) for size in (8, 32) for way in (False, True)}
    notes = [
        f"Padding of a build in batches of {size}: {waste[size, False]:.1%} of the positions as items come, "
        f"{waste[size, True]:.1%} by length, as builds do it."
        for size in (8, 32)
    ]
    about = f"Encoding {items} items of one length in a batch;"
    record("encoding", about, options, rows, goals, notes)


if __name__ == "__main__":
    main()
