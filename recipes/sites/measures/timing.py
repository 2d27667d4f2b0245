"""Times of single questions, measured in turns, so that a busy moment of the machine meets all ways alike."""

import statistics
import time

import torch
from tqdm import tqdm

from .asking import AskedWay, HeldOut


REPETITIONS = 40
NEW_TOKENS = 16


def measure(asked: list[AskedWay], held_out: HeldOut, repetitions: int = REPETITIONS) -> dict[str, dict[str, float]]:
    """Measure each way with the true item, one question at a time.

    Items that become vectors are encoded before, as a bank keeps them; pictures are not: the vision tower is part of
    the prefill. A repetition asks each way the same question; the first one is not counted.

    Args:
        asked (`list[AskedWay]`): The ways.
        held_out (`HeldOut`): The questions.
        repetitions (`int`, *optional*, defaults to 40): Questions, spread over all.

    Returns:
        `dict[str, dict[str, float]]`: `prefill` and `per_token`, medians in seconds, by the way's key.
    """
    times = {one.way.key: [] for one in asked}
    numbers = [repetition * len(held_out) // (repetitions + 1) for repetition in range(repetitions + 1)]
    for number in tqdm(numbers, desc="Times"):
        for one in asked:
            times[one.way.key].append(_times(one, one.inputs(held_out, [number], with_item=True)))
    return {
        key: {
            "prefill": statistics.median(prefill for prefill, _ in pairs[1:]),
            "per_token": statistics.median(token for _, token in pairs[1:]),
        }
        for key, pairs in times.items()
    }


@torch.inference_mode()
def _times(one: AskedWay, inputs) -> tuple[float, float]:
    start = time.perf_counter()
    one.prefill(inputs)
    prefill = time.perf_counter() - start
    seconds = []
    for length in (1, 1 + NEW_TOKENS):
        start = time.perf_counter()
        one.model.generate(**inputs, min_new_tokens=length, max_new_tokens=length, do_sample=False)
        seconds.append(time.perf_counter() - start)
    return prefill, (seconds[1] - seconds[0]) / NEW_TOKENS
