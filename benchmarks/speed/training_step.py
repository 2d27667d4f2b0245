"""A training step of the memory encoder, compared with the forward pass of the same batch.

    python -m benchmarks.speed.training_step [--shape atlas-small] [--samples 1] [--items 3] [--device cuda]

A step encodes the items with gradients, reads question and answer with the frozen backbone, goes back through both,
and updates adapter and resampler with AdamW. With gradient checkpointing it computes the layers a second time instead
of keeping what they gave.
"""

from collections.abc import Callable

import torch

from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.measuring import Spread, count_flops, flops_by_depth, ratio, take_turns
from benchmarks.speed.shared.prompts import Prompts
from benchmarks.speed.shared.recording import record
from benchmarks.speed.shared.shapes import Shape, random_model


FORWARD, STEP, CHECKPOINTED = "forward pass", "training step", "training step, gradient checkpointing"
ANSWER = 8  # tokens of the answer, at the end of the prompt


def steps(
    shape: Shape, samples: int, items: int, device: str = "cpu", trainable: bool = True
) -> dict[str, Callable[[], object]]:
    """Return the computations by name; they share a model."""
    prompts = Prompts(shape, device)
    model = random_model(shape, device, trainable)
    # "gradient" before transformers 5.24.
    kind = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    inputs = {**prompts.question(samples), "memory_inputs": prompts.raw(items, samples)}
    inputs["labels"] = inputs["input_ids"].clone()
    inputs["labels"][:, :-ANSWER] = -100
    optimizer = torch.optim.AdamW(model.memory_encoder_parameters().values(), lr=1e-6)

    def forward():
        model.eval()
        with torch.no_grad():
            model(**inputs)

    def step():
        model.train()
        model(**inputs).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def checkpointed():
        getattr(model, f"{kind}_checkpointing_enable")()
        step()
        getattr(model, f"{kind}_checkpointing_disable")()

    return {FORWARD: forward, STEP: step, CHECKPOINTED: checkpointed}


def count_steps(shape: Shape, samples: int, items: int) -> dict[str, int]:
    """Count the operations of every computation."""
    # The counter refuses modules that can be trained in a computation without gradients.
    forward = {FORWARD: steps(shape, samples, items, trainable=False)[FORWARD]}
    return {name: count_flops(run) for name, run in (steps(shape, samples, items) | forward).items()}


def main() -> None:
    """Count, measure, record."""
    more = {
        "samples": {"type": int, "default": 1, "help": "questions in a batch"},
        "items": {"type": int, "default": 3, "help": "items of each question"},
    }
    options = parse(__doc__, rounds=3, **more)
    samples, items = options.samples, options.items
    flops = flops_by_depth(lambda shape: count_steps(shape, samples, items), options.whole)
    whole = flops.at(options.whole)
    seconds = take_turns(steps(options.measured, samples, items, options.device), options.rounds, options.device)
    rows = [
        {
            "computation": name,
            "GFLOP": whole[name] / 1e9,
            "x in FLOP": whole[name] / whole[FORWARD],
            "ms": Spread.of(values).median * 1e3,
            "x in time": ratio(seconds, name, FORWARD),
        }
        for name, values in seconds.items()
    ]
    about = f"A batch of {samples} questions with {items} items each;"
    record("training_step", about, options, rows)


if __name__ == "__main__":
    main()
