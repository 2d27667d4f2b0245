"""Training of one way, resumable, with the time that it takes."""

import json
import time
from functools import partial
from pathlib import Path

import torch
from transformers import TrainerCallback

from comem_hf import CoMemProcessor
from comem_hf.training import MemoryDataset, MemoryTrainingArguments, items_in_context, train_memory_encoder

from .models import new_model
from .run import Run
from .ways import Way


LOGGING_STEPS = 10
SAVE_STEPS = 50


class StepTimes(TrainerCallback):
    """Adds the seconds since the last line of the log to each line, so that the sum stands after a resumption, too."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.start = time.perf_counter()

    def on_log(self, args, state, control, **kwargs):
        now = time.perf_counter()
        if "loss" in state.log_history[-1]:
            state.log_history[-1]["seconds"] = now - self.start
        self.start = now


def train(way: Way, run: Run) -> Path:
    """Train a way, or go on with an interrupted training, and return the folder of the trained model."""
    output = run.model(way)
    if (output / "trainer_state.json").is_file():  # written after the model
        return output
    args = MemoryTrainingArguments(
        output_dir=str(output),
        max_steps=run.steps,
        per_device_train_batch_size=run.batch_size,
        gradient_accumulation_steps=1,
        learning_rate=way.learning_rate,
        muon_learning_rate=way.muon_learning_rate,
        max_grad_norm=1.0,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="sequential",  # the rows are in the order of a curriculum
        logging_steps=min(LOGGING_STEPS, run.steps),
        save_steps=SAVE_STEPS,
        save_total_limit=1,
        seed=run.seed,
    )
    model, processor = new_model(way, run), CoMemProcessor.from_pretrained(run.backbone)
    train_memory_encoder(
        model,
        processor,
        MemoryDataset.from_file(run.rows),
        args,
        callbacks=[StepTimes()],
        items_in_prompt=way.items == "pasted",
        to_context=partial(items_in_context, picture_first=True),  # as the backbone was trained to read them
    )
    return output


def log_of(trained: Path) -> list[dict]:
    """Return the lines of a training's log that have a loss: `step`, `loss`, `seconds` and others."""
    history = json.loads((trained / "trainer_state.json").read_text())["log_history"]
    return [row for row in history if "loss" in row]
