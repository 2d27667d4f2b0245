"""Trains the cases of a folder, one after another, in one launch of processes; a module for `accelerate launch -m`.

Its argument is a folder with `cases.json`, a list of objects: `name` (of the result's folder), `model` (a folder),
`rows` and `settings` (of [`MemoryTrainingArguments`]); `new`, the configuration of a new encoder, if the model is a
backbone; `arguments_first`, to make the settings before the model; `streamed`, to stream the rows; `stops_at`, a step
at which the run is interrupted; `refused`, if an error is expected. `results.json` gets an object for each: `losses`
of the steps, or the text of the `error`.
"""

import json
import os
import sys
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from datasets import IterableDataset
from transformers import TrainerCallback

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import MemoryTrainingArguments, train_memory_encoder
from tests.training.conftest import Interrupt


class Losses(TrainerCallback):
    """Keeps the loss of each step."""

    def __init__(self):
        self.values = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.values += [logs["loss"]] if "loss" in logs else []


def train(case: dict, folder: Path) -> dict:
    """Returns the result of a case."""
    settings = {**case["settings"], "output_dir": str(folder / case["name"]), "use_cpu": True}
    first = MemoryTrainingArguments(**settings) if case.get("arguments_first") else None
    torch.manual_seed(0)
    if "new" in case:
        model = CoMemForConditionalGeneration.from_backbone(str(folder / case["model"]), **case["new"])
    else:
        model = CoMemForConditionalGeneration.from_pretrained(folder / case["model"])
    processor = CoMemProcessor.from_pretrained(folder / case["model"])
    args = first or MemoryTrainingArguments(**settings)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        # Accelerate shards on accelerators only. The processes here have none, and gloo does the same on CPUs.
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    rows, losses = case["rows"], Losses()
    if case.get("streamed"):
        rows = IterableDataset.from_generator(lambda: iter(case["rows"]))
    callbacks = [losses, *([Interrupt(case["stops_at"])] if "stops_at" in case else [])]
    try:
        train_memory_encoder(model, processor, rows, args, callbacks=callbacks)
    except KeyboardInterrupt:
        pass
    except ValueError as error:
        if not case.get("refused"):
            raise
        return {"error": str(error)}
    return {"losses": losses.values}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    results = []
    for case in json.loads((folder / "cases.json").read_text()):
        results.append(train(case, folder))
        AcceleratorState._reset_state()
    if torch.distributed.get_rank() == 0:
        (folder / "results.json").write_text(json.dumps(results))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
