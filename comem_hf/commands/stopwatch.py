"""Times of the steps of a command."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Collects `(step, seconds)` pairs in `steps`."""

    def __init__(self):
        self.steps: list[tuple[str, float]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the body of a `with` statement."""
        start = time.perf_counter()
        yield
        self.steps.append((name, time.perf_counter() - start))

    def rows(self) -> list[tuple[str, str]]:
        """The steps and their sum, as rows for `print_table`."""
        total = ("total", sum(seconds for _, seconds in self.steps))
        return [(name, f"{seconds:.2f} s") for name, seconds in [*self.steps, total]]
