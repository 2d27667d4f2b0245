"""Models to train, and rows to train them on."""

import copy
import json
from pathlib import Path

import PIL.Image
import pytest
import torch
from transformers import TrainerCallback

from comem_hf import CoMemForConditionalGeneration, MemoryItem
from comem_hf.training import MemoryTrainingArguments
from comem_hf.training.parts.freezing import trainable_parameters


needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="Muon came with torch 2.9")


@pytest.fixture(scope="session")
def family() -> str:
    """Training does not depend on the family; one is enough."""
    return "qwen2_vl"


@pytest.fixture
def make_trainable(tiny_backbone):
    """Makes an untrained model on a copy of the tiny backbone, the same at every call."""

    def make(**config) -> CoMemForConditionalGeneration:
        torch.manual_seed(0)
        config.setdefault("lora_config", {"r": 2, "lora_alpha": 4, "lora_dropout": 0.1})
        return CoMemForConditionalGeneration.from_backbone(copy.deepcopy(tiny_backbone), **config)

    return make


@pytest.fixture
def make_arguments(tmp_path):
    """Makes settings for a few fast steps on the CPU."""

    def make(**settings) -> MemoryTrainingArguments:
        defaults = {
            "output_dir": str(tmp_path / "run"),
            "max_steps": 4,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 1,
            "learning_rate": 1e-2,
            "save_steps": 2,
            "logging_steps": 1,
            "disable_tqdm": True,
            "use_cpu": True,
        }
        return MemoryTrainingArguments(**{**defaults, **settings})

    return make


def picture(shade: int) -> PIL.Image.Image:
    return PIL.Image.new("RGB", (56, 56), (shade, 255 - shade, 40))


@pytest.fixture
def rows() -> list[dict]:
    """Four in-memory rows with one, two, no and one memory items."""
    items = [MemoryItem(image=picture(50 * i), text=f"Item {i} is {i * i}.") for i in range(4)]
    return [
        {"image": picture(0), "question": "What is 0?", "answer": "0", "memories": items[:1]},
        {"image": None, "question": "What is 1?", "answer": "1", "memories": items[1:3]},
        {"image": picture(100), "question": "What is 2?", "answer": "4"},
        {"image": picture(150), "question": "What is 3?", "answer": "9", "memories": items[3:]},
    ]


@pytest.fixture
def data_file(tmp_path) -> Path:
    """A JSONL file of four rows, with its images beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = []
    for i in range(4):
        picture(50 * i).save(folder / f"{i}.png")
        memory = {"image": f"{i}.png", "text": f"Item {i} is {i * i}."}
        row = {"image": f"{i}.png", "question": f"What is {i}?", "answer": str(i * i), "memories": [memory]}
        lines.append(json.dumps(row))
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "train.jsonl"


class Interrupt(TrainerCallback):
    """Stops a run as a crash would, in the middle of a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def state_of(model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in trainable_parameters(model).items()}


def assert_equal(tensors, others):
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name
