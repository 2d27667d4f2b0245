"""Two processes train as one does, whatever each one's batches hold, with the files of `recipes/launch`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import comem_hf
from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import MemoryTrainingArguments, train_memory_encoder
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from tests.conftest import make_model
from tests.training.conftest import picture
from tests.training.processes.worker import Losses


pytestmark = pytest.mark.slow
ROOT = Path(comem_hf.__file__).parents[1]
SETTINGS = {
    "max_steps": 6,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "train_sampling_strategy": "sequential",
    "optim": "sgd",  # the change of the weights is the sum of the gradients; a zero gradient changes nothing
    "learning_rate": 0.1,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_processor) -> Path:
    """Models, and rows of which each process gets every second one."""
    folder = tmp_path_factory.mktemp("processes")
    for encoder in ("adapter", "separate"):
        lora = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}
        make_model(encoder=encoder, lora_config=lora).save_pretrained(folder / encoder)
        tiny_processor.save_pretrained(folder / encoder)
    for number in range(3):
        picture(80 * number).save(folder / f"{number}.png")
    return folder


def rows_in(folder: Path) -> list[dict]:
    seen, told = str(folder / "0.png"), {"text": "A fact without a picture."}
    shown = [{"image": str(folder / f"{number}.png"), "text": f"Fact {number}."} for number in (1, 2)]
    pairs = [
        ((seen, shown[:1]), (seen, shown)),
        ((seen, []), (seen, shown[:1])),
        ((seen, [told]), (None, shown)),
        ((None, []), (seen, shown[1:])),
        ((None, [told]), (seen, [])),
        ((None, []), (None, [])),
    ]
    rows = [row for pair in pairs for row in pair]
    return [
        {"image": image, "question": f"What is {number}?", "answer": str(number), "memories": items}
        for number, (image, items) in enumerate(rows)
    ]
