"""Training of one row with one seed, resumable."""

from functools import partial
from pathlib import Path

import torch
from transformers import set_seed

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import (
    MemoryDataset,
    MemoryTrainingArguments,
    items_in_context,
    train_memory_encoder,
    train_only,
)
from recipes.sites.training import StepTimes, log_of

from .rows import BASE, Row
from .run import Run


SAVE_STEPS = 25
LOGGING_STEPS = 10


def new_model(row: Row, run: Run, seed: int) -> CoMemForConditionalGeneration:
    """Make the untrained model of a row; the same seed gives the same weights."""
    set_seed(seed)
    model = CoMemForConditionalGeneration.from_backbone(str(run.backbone), **row.merged_config())
    model.set_attn_implementation("eager")  # on a CPU, training with it is 1.4 times as fast as with sdpa
    if row.parts:
        train_only(model, *row.parts)
    return model


def train(row: Row, run: Run, seed: int) -> Path:
    """Train a row, or go on with an interrupted training, and return the folder of the trained model."""
    output = run.folder(row, seed) / "model"
    if (output / "trainer_state.json").is_file():  # written after the model
        return output
    args = MemoryTrainingArguments(
        output_dir=str(output),
        max_steps=run.steps,
        per_device_train_batch_size=run.batch_size,
        gradient_accumulation_steps=1,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="sequential",  # the rows are in the order of a curriculum
        logging_steps=min(LOGGING_STEPS, run.steps),
        save_steps=SAVE_STEPS,
        save_total_limit=1,
        seed=seed,
        **{**BASE, **row.arguments},
    )
    train_memory_encoder(
        new_model(row, run, seed),
        CoMemProcessor.from_pretrained(run.backbone),
        MemoryDataset.from_file(run.rows),
        args,
        callbacks=[StepTimes()],
        to_context=partial(items_in_context, picture_first=True),  # as the backbone was trained to read them
    )
    return output


def facts_of_training(trained: Path) -> dict:
    """Return the seconds of all steps and the mean loss of the last fifty."""
    log = log_of(trained)
    last = [row["loss"] for row in log][-5:]
    return {"training_seconds": sum(row["seconds"] for row in log), "final_loss": sum(last) / len(last)}
