"""Training of one way, resumable, with the time that it takes."""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
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
    return train_on_rows(
        lambda: new_model(way, run),
        run.rows,
        run.backbone,
        run.model(way),
        items_in_prompt=way.items == "pasted",
        max_steps=run.steps,
        per_device_train_batch_size=run.batch_size,
        learning_rate=way.learning_rate,
        muon_learning_rate=way.muon_learning_rate,
        max_grad_norm=1.0,
        save_steps=SAVE_STEPS,
        seed=run.seed,
    )


def train_on_rows(
    make_model: Callable[[], CoMemForConditionalGeneration],
    rows: Path,
    backbone: Path,
    output: Path,
    *,
    max_steps: int,
    items_in_prompt: bool = False,
    **settings: Any,
) -> Path:
    """Train a model on the rows of a comparison, unless that is done, and return the folder of the trained model.

    Args:
        make_model (`Callable`): Makes the untrained model, the same at every call.
        rows (`Path`): The rows, in the order of a curriculum.
        backbone (`Path`): Folder of the backbone, with its processor.
        output (`Path`): Folder of the result; an interrupted training there goes on.
        max_steps (`int`): Updates.
        items_in_prompt (`bool`, *optional*, defaults to `False`): Whether items are written into prompts.
        **settings: Further fields of [`MemoryTrainingArguments`].
    """
    if (output / "trainer_state.json").is_file():  # written after the model
        return output
    args = MemoryTrainingArguments(
        output_dir=str(output),
        max_steps=max_steps,
        gradient_accumulation_steps=1,
        bf16=computes_in_bfloat16(),
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="sequential",
        logging_steps=min(LOGGING_STEPS, max_steps),
        save_total_limit=1,
        **settings,
    )
    train_memory_encoder(
        make_model(),
        CoMemProcessor.from_pretrained(backbone),
        MemoryDataset.from_file(rows),
        args,
        callbacks=[StepTimes()],
        items_in_prompt=items_in_prompt,
        to_context=partial(items_in_context, picture_first=True),  # as the backbone was trained to read them
    )
    return output


def computes_in_bfloat16() -> bool:
    """Whether bfloat16 makes training faster here; a processor without AVX-512 is 30 times as slow in it."""
    return torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() == "AVX512"


def log_of(trained: Path) -> list[dict]:
    """Return the lines of a training's log that have a loss: `step`, `loss`, `seconds` and others."""
    history = json.loads((trained / "trainer_state.json").read_text())["log_history"]
    return [row for row in history if "loss" in row]
