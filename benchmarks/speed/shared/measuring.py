"""Time, operations and memory of computations that are compared in one process."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from tqdm import tqdm

from .shapes import Shape


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Summarize measurements; of fewer than three, the extremes stand for the quartiles."""
        if len(values) < 3:
            return cls(statistics.median(values), min(values), max(values))
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f}-{self.high:.3f})"


def use_one_thread() -> None:
    """Let torch compute in this thread alone, so that processor time is time that a quiet machine would take."""
    torch.set_num_threads(1)


def seconds_of(run: Callable[[], object], device: str = "cpu") -> float:
    """Return what a computation takes: processor time on the CPU, elapsed time on another device."""
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.accelerator.synchronize()
    start = time.perf_counter()
    run()
    torch.accelerator.synchronize()
    return time.perf_counter() - start


def take_turns(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    device: str = "cpu",
    at_most: Mapping[str, int] | None = None,
) -> dict[str, list[float]]:
    """Measure computations in turns, so that a busy moment or a drift of the clock meets all of them.

    Every other round goes backwards. A first call of each is not counted.

    Args:
        cases (mapping): The computations by name.
        rounds (`int`): Rounds that count.
        device (`str`): Where they run.
        at_most (mapping, *optional*): Fewer rounds for long computations, by name; 1 means no uncounted call either.

    Returns:
        `dict[str, list[float]]`: Seconds of each computation in each round.
    """
    limits = {name: (at_most or {}).get(name, rounds) for name in cases}
    for name, run in cases.items():
        if limits[name] > 1:
            run()
    seconds = {name: [] for name in cases}
    for number in tqdm(range(rounds), desc="Rounds", leave=False, disable=None):
        names = [name for name in cases if number < limits[name]]
        for name in reversed(names) if number % 2 else names:
            seconds[name].append(seconds_of(cases[name], device))
    return seconds


def ratio(seconds: Mapping[str, list[float]], of: str, to: str) -> Spread:
    """Return how many times as long one computation takes as another, compared round by round."""
    return Spread.of([a / b for a, b in zip(seconds[of], seconds[to], strict=False)])


def count_flops(run: Callable[[], object]) -> int:
    """Count the floating-point operations of a computation, two for each multiplication and addition.

    Attention counts in full, causal or not, as the kernels of most devices compute it.
    """
    unknown_to_torch = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
        torch.ops.aten.addmm_: _product_flops,
    }
    with FlopCounterMode(display=False, custom_mapping=unknown_to_torch) as counter:
        run()
    return counter.get_total_flops()


def _attention_flops(query, key, value, *args, out_shape=None, **kwargs) -> int:
    return sdpa_flop_count(query, key, value)


def _product_flops(added, left, right, *args, out_shape=None, **kwargs) -> int:
    return 2 * left[0] * left[1] * right[1]


def flops_by_depth(count: Callable[[Shape], Mapping[str, int]], shape: Shape) -> "FlopsByDepth":
    """Count computations on models of one and two layers; each further layer costs the same.

    Args:
        count (`Callable`): Counts all computations on a model of the shape that it is given.
        shape ([`Shape`]): The whole shape.
    """
    least, text, vision = (count(shape.with_layers(*layers)) for layers in ((1, 1), (2, 1), (1, 2)))
    return FlopsByDepth({name: (value, text[name] - value, vision[name] - value) for name, value in least.items()})


@dataclass(frozen=True)
class FlopsByDepth:
    """Operations of computations as a function of the layers of text and vision."""

    parts: dict[str, tuple[int, int, int]]
    """By name: of a model with one layer each, of one more text layer, of one more vision layer."""

    def at(self, shape: Shape) -> dict[str, int]:
        """Return the operations on a model of this depth, by name."""
        text, vision = shape.text_layers - 1, shape.vision_layers - 1
        return {name: least + text * a + vision * b for name, (least, a, b) in self.parts.items()}
