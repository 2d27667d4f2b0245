"""Trains the cases of a folder, one after another, in one launch of processes; a script for `accelerate launch`.

Args: the folder with `cases.json`, a list of objects: `name`, `model` (a folder), `rows`, `settings` of
[`MemoryTrainingArguments`]. Rank 0 writes `results.json`: by name the losses of the steps, or the error's text.
"""

import json
import os
import sys
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from transformers import TrainerCallback

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import MemoryTrainingArguments, train_memory_encoder


def train(case: dict, folder: Path) -> dict:
    """Returns the losses of a case's steps, or the error that it ended with."""
    settings = {**case["settings"], "output_dir": str(folder / case["name"]), "use_cpu": True}
    before = None if case.get("arguments_last") else MemoryTrainingArguments(**settings)
    model = CoMemForConditionalGeneration.from_pretrained(folder / case["model"])
    args = before or MemoryTrainingArguments(**settings)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        # Accelerate shards on accelerators only. The processes here have none, and gloo does the same on CPUs.
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    processor = CoMemProcessor.from_pretrained(folder / case["model"])
    losses = Losses()
    try:
        train_memory_encoder(model, processor, case["rows"], args, callbacks=[losses])
    except (RuntimeError, ValueError) as error:
        if case.get("fails") is None:
            raise
        return {"error": str(error)}
    return {"losses": losses.values}


class Losses(TrainerCallback):
    """Keeps the loss of each step."""

    def __init__(self):
        self.values = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.values += [logs["loss"]] if "loss" in logs else []


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    results = {}
    for case in json.loads((folder / "cases.json").read_text()):
        results[case["name"]] = train(case, folder)
        AcceleratorState._reset_state()
    if torch.distributed.get_rank() == 0:
        (folder / "results.json").write_text(json.dumps(results))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
