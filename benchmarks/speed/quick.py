"""Operations and prompt positions compared with the recorded ones; time ratios of the embedded default's shape.

    make bench-quick
    python -m benchmarks.speed.quick --record

Exits with 1 if a count differs from `benchmarks/recorded.json` by more than 2 %, with a line for each; `--record`
writes that file. Counts do not depend on the machine, so they are compared; times do, so they are printed only.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers.utils import logging

from benchmarks.speed import decoding, encoding, first_token
from benchmarks.speed.shared.measuring import count_flops, flops_by_depth, ratio, take_turns, use_one_thread
from benchmarks.speed.shared.prompts import Prompts
from benchmarks.speed.shared.shapes import SHAPES, Shape, random_model


RECORDED = Path(__file__).parents[1] / "recorded.json"
LIMIT = 0.02
ITEMS = 8


def count(shape: Shape) -> dict[str, int]:
    """Return operations at the whole depth, and positions, by what was counted."""
    of_ways = flops_by_depth(first_token.count_ways, shape).at(shape)
    of_encoding = flops_by_depth(
        lambda part: {name: count_flops(run) for name, run in encoding.encoders(part, ITEMS).items()}, shape
    ).at(shape)
    counted = {"FLOP": of_ways, "positions": first_token.positions(shape), "FLOP, eight items": of_encoding}
    return {f"{shape.name}, {name}, {unit}": number for unit, of in counted.items() for name, number in of.items()}


def deviations(recorded: Mapping[str, int], found: Mapping[str, int], limit: float = LIMIT) -> list[str]:
    """Return a line for each count that differs from the recorded one by more than `limit`, or has no counterpart.

    Args:
        recorded, found (mapping): Counts by name.
        limit (`float`, *optional*): Largest share of the recorded count by which another one may differ.
    """
    lines = []
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name}: recorded as {recorded[name]:,}, but not counted any more")
        elif name not in recorded:
            lines.append(f"{name}: {found[name]:,}, but not recorded")
        elif abs(found[name] - recorded[name]) > limit * recorded[name]:
            change = found[name] / recorded[name] - 1
            lines.append(f"{name}: {found[name]:,}, recorded as {recorded[name]:,} ({change:+.1%})")
    return lines


def print_times(shape: Shape) -> None:
    """Measure and print time ratios: to the first token, of a token, of encoding."""
    model, prompts = random_model(shape), Prompts(shape)
    cases = first_token.ways(model, prompts)
    names = (first_token.NONE, *map(first_token.STORED.format, (3, 10)), first_token.RAG.format(10))
    cases = {name: cases[name] for name in names}
    seconds = take_turns(cases, 7)
    for name in cases:
        print(f"{'first token, ' + name:<52}{ratio(seconds, name, first_token.NONE)}")
    question, stored = prompts.question(), first_token.STORED.format(10)
    inputs = {first_token.NONE: question, stored: {**question, "memory_inputs": prompts.stored(10)}}
    taken, _ = decoding.decode(model, inputs, 32, "cpu")
    print(f"{'a further token, ' + stored:<52}{ratio(taken, stored, first_token.NONE)}")
    seconds = take_turns(encoding.encoders(shape, ITEMS), 5)
    for name in seconds:
        print(f"{name:<52}{ratio(seconds, name, encoding.BARE)}")


def prepare_process() -> None:
    """Print nothing but results, and count on all cores."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(os.cpu_count() or 1)


def main() -> None:
    """Count, compare, print times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the counts instead of comparing them")
    options = parser.parse_args()
    prepare_process()
    small, large = SHAPES["atlas-small"](), SHAPES["qwen2-vl-2b"]()
    found = count(small) | count(large)
    if options.record:
        RECORDED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    lines = deviations(json.loads(RECORDED.read_text(encoding="utf-8")), found)
    print(f"{len(found)} counts, {len(lines)} of them not within {LIMIT:.0%} of {RECORDED.name}", flush=True)
    print("\n".join(lines), end="\n" if lines else "")
    print(f"\nTime, times that of no memory or of the bare forward pass ({small.name}; median and quartiles):")
    use_one_thread()
    print_times(small)
    if lines:
        sys.exit(1)


if __name__ == "__main__":
    main()
