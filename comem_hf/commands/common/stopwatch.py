"""Times of the steps of a command."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Collects `(step, seconds)` pairs in `steps`.

    Args:
        steps (`list`, *optional*): Pairs to begin with.
    """

    def __init__(self, steps: Iterable[tuple[str, float]] = ()):
        self.steps = list(steps)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the body of a `with` statement."""
        start = time.perf_counter()
        yield
        self.steps.append((name, time.perf_counter() - start))

    def rows(self) -> list[tuple[str, str]]:
        """Return the steps and their sum, as rows for `print_table`."""
        total = ("total", sum(seconds for _, seconds in self.steps))
        return [(name, f"{seconds:.2f} s") for name, seconds in [*self.steps, total]]
