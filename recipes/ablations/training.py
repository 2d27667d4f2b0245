"""Training of one row with one seed, resumable."""

from pathlib import Path

from transformers import set_seed

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import train_only
from recipes.atlas_small import architecture
from recipes.atlas_small.learning.facts import start_from_facts
from recipes.sites.training import log_of, train_on_rows

from .material import read_told
from .rows import BASE, Row
from .run import Run


SAVE_STEPS = 25


def new_model(row: Row, run: Run, seed: int) -> CoMemForConditionalGeneration:
    """Make the untrained model of a row; the same seed gives the same weights."""
    set_seed(seed)
    model = architecture.new_model(run.backbone, row.merged_config())
    if row.copies and model.config.resampler_config["kind"] == "perceiver":
        start_from_facts(model, CoMemProcessor.from_pretrained(run.backbone), read_told(run))
    model.set_attn_implementation("eager")  # on a CPU, training with it is 1.4 times as fast as with sdpa
    if row.parts:
        train_only(model, *row.parts)
    return model


def train(row: Row, run: Run, seed: int) -> Path:
    """Train a row, or go on with an interrupted training, and return the folder of the trained model."""
    return train_on_rows(
        lambda: new_model(row, run, seed),
        run.rows,
        run.backbone,
        run.folder(row, seed) / "model",
        max_steps=run.steps,
        per_device_train_batch_size=run.batch_size,
        save_steps=SAVE_STEPS,
        seed=seed,
        **{**BASE, **row.arguments},
    )


def facts_of_training(trained: Path) -> dict:
    """Return the seconds of all steps and the mean loss of the last fifty."""
    log = log_of(trained)
    last = [row["loss"] for row in log][-5:]
    return {"training_seconds": sum(row["seconds"] for row in log), "final_loss": sum(last) / len(last)}
