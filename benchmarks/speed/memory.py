"""Memory of one copy of the weights (an adapter) and of two (an encoder of its own), beside the backbone alone.

    python -m benchmarks.speed.memory [--shape qwen2-vl-7b --counts-only] [--device cuda]

The tensors are counted at the whole depth, without weights. Each kind is then made at a share of the depth in a
process of its own, which answers a question, with ten items that it encodes where it can. What the process held before
the model, libraries included, does not count.
"""

import multiprocessing
import resource

import psutil
import torch

from benchmarks.speed.first_token import FIRST_TOKEN
from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.prompts import Prompts
from benchmarks.speed.shared.recording import Goal, record
from benchmarks.speed.shared.shapes import Shape, random_backbone, random_model
from comem_hf.modeling.configuration_comem import CoMemConfig
from comem_hf.modeling.modeling_comem import CoMemForConditionalGeneration


ALONE, ONE_COPY, TWO_COPIES = "backbone alone", "one copy: adapter", "two copies: separate encoder"
ON_DISK = "memory-only checkpoint, on disk"
ENCODERS = {ONE_COPY: "adapter", TWO_COPIES: "separate"}


def tensor_bytes(model: torch.nn.Module, size: int) -> int:
    """Return the bytes of all parameters, shared ones once, with so many bytes a number."""
    return sum(parameter.numel() for parameter in {id(p): p for p in model.parameters()}.values()) * size


def count(shape: Shape) -> dict[str, int]:
    """Return the bytes of the weights of every kind."""
    found = {}
    for name, encoder in ENCODERS.items():
        config = CoMemConfig(backbone_config=shape.backbone_config(), encoder=encoder, **shape.memory)
        with torch.device("meta"):
            model = CoMemForConditionalGeneration(config)
        found[ALONE] = tensor_bytes(model.backbone, shape.dtype.itemsize)
        found[name] = tensor_bytes(model, shape.dtype.itemsize)
    return found | {ON_DISK: found[ONE_COPY] - found[ALONE]}


def answer(kind: str, shape: Shape, device: str) -> dict[str, float]:
    """Make a model, answer a question; return the bytes that are held now and that were held at most."""
    torch.set_num_threads(1)
    process = psutil.Process()
    before = process.memory_info().rss
    if kind == ALONE:
        model, memory = random_backbone(shape, device), {}
    else:
        model = random_model(shape, device, encoder=ENCODERS[kind])
        memory = {"memory_inputs": Prompts(shape, device).raw(10)}
    model.generate(**Prompts(shape, device).question(), **memory, **FIRST_TOKEN)
    if device == "cpu":
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
        return {"now": process.memory_info().rss - before, "at most": most - before}
    return {"now": torch.cuda.memory_allocated(), "at most": torch.cuda.max_memory_allocated()}


def main() -> None:
    """Count, measure, record."""
    options = parse(__doc__, counts_only=True)
    counted = count(options.whole)
    rows = []
    for kind, size in counted.items():
        row = {"kind": kind, "weights, whole depth, GB": size / 1e9, "x": size / counted[ALONE]}
        if not options.counts_only and kind != ON_DISK:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                held = pool.apply(answer, (kind, options.measured, options.device))
            row |= {f"held {when}, this depth, GB": number / 1e9 for when, number in held.items()}
        rows.append(row)
    one = next(row for row in rows if row["kind"] == ONE_COPY)
    goals = [Goal("resident weights with a memory encoder / backbone alone", one["x"], 1.05)]
    about = "Memory held for the weights and for a question with ten items;"
    record("memory", about, options, rows, goals if options.shape != "atlas-small" else [])


if __name__ == "__main__":
    main()
