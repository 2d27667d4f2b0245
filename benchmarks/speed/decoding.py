"""Time of one more token, and bytes of the key-value cache, after no memory, stored memory and plain RAG.

    python -m benchmarks.speed.decoding [--shape atlas-small] [--tokens 32] [--device cuda]

The ways decode in threads of their own that take turns token by token, each counting its own processor time, so that
whatever else the machine does meets all of them. Decoding does not run the vision tower, so the model has one layer of
it.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from benchmarks.speed.first_token import NONE, RAG, STORED
from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.measuring import Spread, ratio, use_one_thread
from benchmarks.speed.shared.prompts import Prompts
from benchmarks.speed.shared.recording import Goal, record
from benchmarks.speed.shared.shapes import random_model


PATIENCE = 600  # seconds until a thread gives up waiting for another one that has failed
COUNTS = (10, 50)


class Baton:
    """Lets threads run one at a time, in a fixed order.

    Args:
        names (`list[str]`): The threads' names, in their order.
    """

    def __init__(self, names: list[str]):
        self.next = dict(zip(names, [*names[1:], names[0]], strict=True))
        self.free = {name: threading.Semaphore(0) for name in names}
        self.free[names[0]].release()

    def wait(self, name: str) -> None:
        """Wait for this thread's turn."""
        if not self.free[name].acquire(timeout=PATIENCE):
            raise TimeoutError("Another of the threads that take turns has not come back.")

    def hand_over(self, name: str) -> None:
        """End this thread's turn."""
        self.free[self.next[name]].release()


class TokenClock(StoppingCriteria):
    """Notes what each token takes; after each, the other threads have their turn."""

    def __init__(self, name: str, baton: Baton, device: str):
        self.name, self.baton, self.device = name, baton, device
        self.seconds: list[float] = []
        self.start: float | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor, **kwargs) -> torch.BoolTensor:
        now = self._now()
        if self.start is not None:
            self.seconds.append(now - self.start)
        self.baton.hand_over(self.name)
        self.baton.wait(self.name)
        self.start = self._now()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def _now(self) -> float:
        if self.device == "cpu":
            return time.thread_time()
        torch.accelerator.synchronize()
        return time.perf_counter()


def decode(model, inputs: Mapping[str, Mapping], tokens: int, device: str) -> tuple[dict[str, list[float]], dict]:
    """Return the seconds of each token and the cache, by way."""
    baton = Baton(list(inputs))

    def run(name: str):
        clock = TokenClock(name, baton, device)
        use_one_thread()  # which each thread has to say for itself
        baton.wait(name)
        settings = {"do_sample": False, "max_new_tokens": tokens + 1, "pad_token_id": 0, "eos_token_id": None}
        criteria = StoppingCriteriaList([clock])
        output = model.generate(**inputs[name], **settings, return_dict_in_generate=True, stopping_criteria=criteria)
        baton.hand_over(name)
        cache = output.get("cache", output.get("past_key_values"))
        return clock.seconds, cache

    with ThreadPoolExecutor(len(inputs)) as pool:
        results = dict(zip(inputs, pool.map(run, inputs), strict=True))
    seconds, caches = ({name: both[part] for name, both in results.items()} for part in (0, 1))
    return seconds, caches


def cache_bytes(cache) -> int:
    """Return the bytes of all keys and values."""
    return sum(tensor.nbytes for layer in cache.layers for tensor in (layer.keys, layer.values))


def main() -> None:
    """Decode, record."""
    options = parse(__doc__, tokens={"type": int, "default": 32, "help": "tokens per round"}, rounds=3)
    shape = options.measured.with_layers(options.measured.text_layers, 1)
    model, prompts = random_model(shape, options.device), Prompts(shape, options.device)
    question = prompts.question()
    inputs = {NONE: question}
    inputs |= {STORED.format(count): {**question, "memory_inputs": prompts.stored(count)} for count in COUNTS}
    inputs[RAG.format(10)] = prompts.question(1, 10)
    seconds, caches = decode(model, inputs, options.tokens, options.device)
    del inputs[RAG.format(10)]  # whose prompt is long, once is enough
    for _ in range(options.rounds - 1):
        for name, values in decode(model, inputs, options.tokens, options.device)[0].items():
            seconds[name] += values
    layers = options.whole.text_layers / shape.text_layers
    rows = [
        {
            "way": name,
            "ms per token": Spread.of(values).median * 1e3,
            "x in time": ratio(seconds, name, NONE),
            "positions in cache": caches[name].get_seq_length(),
            "cache, whole depth, MB": cache_bytes(caches[name]) * layers / 1e6,
        }
        for name, values in seconds.items()
    ]
    goals = []
    if options.shape != "atlas-small":
        stored = STORED.format(10)
        goals = [Goal(f"{stored}: time per token / that of no memory", ratio(seconds, stored, NONE).median, 1.03)]
    about = f"Decoding, {options.tokens} tokens a round;"
    record("decoding", about, options, rows, goals)


if __name__ == "__main__":
    main()
