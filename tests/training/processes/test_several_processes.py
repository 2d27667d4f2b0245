"""Two processes train as one does, whatever their batches hold, with the configurations of `recipes/launch`."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import comem_hf
from comem_hf import CoMemForConditionalGeneration
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from comem_hf.training.run_folder import SETTINGS_NAME
from tests.conftest import make_backbone, make_model
from tests.training.conftest import picture
from tests.training.processes.worker import train


pytestmark = pytest.mark.slow
ROOT = Path(comem_hf.__file__).parents[1]
LORA = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}
needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="DeepSpeed: `make test-deepspeed`")
CHECKPOINTING, REENTRANT = (
    {ACTIVATION_CHECKPOINTING: True, f"{ACTIVATION_CHECKPOINTING}_kwargs": {"use_reentrant": reentrant}}
    for reentrant in (False, True)
)
SETTINGS = {
    "max_steps": 6,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "train_sampling_strategy": "sequential",
    "optim": "sgd",  # the change of the weights is the sum of the gradients, and a zero gradient changes nothing
    "learning_rate": 0.1,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
}


@dataclass
class Case:
    """A training, in several processes, that ends as the one of the reference in one process does."""

    name: str
    model: str = "adapter"
    settings: dict = field(default_factory=dict)
    of_both: dict = field(default_factory=dict)
    """Further settings, which the reference has, too."""
    more: dict = field(default_factory=dict)
    """Further fields for the worker."""

    def to_dict(self, rows: list[dict], **changes) -> dict:
        """Returns the worker's form of it."""
        settings = {**SETTINGS, **self.settings, **self.of_both, **changes}
        return {"name": self.name, "model": self.model, "rows": rows, "settings": settings, **self.more}


FOUR = [
    Case("adapter, plain"),
    Case("adapter, checkpointing", settings=CHECKPOINTING),
    Case("separate, plain", "separate"),
    Case("separate, checkpointing", "separate", CHECKPOINTING),
]
DDP = [
    Case("adapter, reentrant", settings=REENTRANT),
    Case("streamed", more={"streamed": True}),
    Case("tower, checkpointing", "tower", CHECKPOINTING),
    Case("alone, adapter", more={"refused": True}),  # a run of one process
]
SAVED = {"save_strategy": "steps", "save_steps": 3}
# Its states are saved and loaded. A small gradient makes no large step, or rounding would count.
ADAM = {"optim": "adamw_torch", "adam_epsilon": 1.0}
RESUMED = [
    Case("resumed", settings=SAVED, of_both=ADAM, more={"stops_at": 4}),
    Case("resumed", settings=SAVED, of_both=ADAM),
]
FIRST = [
    Case("new, arguments first", "new", more={"new": {"lora_config": LORA}, "arguments_first": True}),
    Case("loaded, arguments first", more={"arguments_first": True}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_processor) -> Path:
    """Models, and pictures of rows."""
    folder = tmp_path_factory.mktemp("processes")
    configs = {"adapter": {}, "separate": {"encoder": "separate"}, "tower": {"num_memory_tokens": 0}}
    configs["tower"]["vision_memory_config"] = {}
    for name, config in configs.items():
        make_model(**config, lora_config=LORA).save_pretrained(folder / name)
    make_backbone().save_pretrained(folder / "new")
    for name in (*configs, "new"):
        tiny_processor.save_pretrained(folder / name)
    for number in range(3):
        picture(80 * number).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def reference(folder):
    """Trains a case in one process, on the batches of both, and returns the losses and what was learned."""
    known = {}

    def get(case: Case) -> tuple[list[float], dict[str, torch.Tensor]]:
        key = ", ".join(["alone", case.model, *map(str, case.of_both.values())])
        if key not in known:
            more = {**case.more, "arguments_first": False}
            alone = Case(key, case.model, of_both=case.of_both, more=more)
            result = train(alone.to_dict(rows_of(case, folder), per_device_train_batch_size=2), folder)
            model = CoMemForConditionalGeneration.from_pretrained(folder / alone.name)
            known[key] = result["losses"], model.own_parameters()
        return known[key]

    return get


def rows_of(case: Case, folder: Path) -> list[dict]:
    """Rows, of which each process gets every second one: with and without pictures, items, and pictures of items."""
    seen, told = str(folder / "0.png"), {"text": "A fact without a picture."}
    shown = [{"image": str(folder / f"{number}.png"), "text": f"Fact {number}."} for number in (1, 2)]
    rows = [(seen, shown[:1]), (seen, shown)]
    rows += [(seen, []), (seen, shown[:1])]
    rows += [(seen, [told]), (None, shown)]
    rows += [(None, []), (seen, shown[1:])]
    rows += [(None, [told]), (seen, [])]
    rows += [(None, []), (None, [])]
    return [
        {
            "image": image,
            "question": f"What is {number}?",
            "answer": str(number),
            "memories": [] if case.model == "tower" else items,
        }
        for number, (image, items) in enumerate(rows)
    ]


def launch(way: str, cases: list[Case], folder: Path) -> list[dict]:
    """Trains cases in two processes, in one launch, and returns the worker's results."""
    told = [case.to_dict(rows_of(case, folder)) for case in cases]
    (folder / "cases.json").write_text(json.dumps(told))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"recipes/launch/{way}.yaml"]
    command += ["--num_processes", "2", "--mixed_precision", "no"]
    environment = {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, "-m", "tests.training.processes.worker", str(folder)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-9000:]
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize(
    ("way", "cases"),
    [
        ("ddp", FOUR + DDP),
        ("fsdp2", FOUR + RESUMED),
        pytest.param("zero2", FOUR, marks=needs_deepspeed),
        pytest.param("zero3", FOUR + FIRST, marks=needs_deepspeed),
    ],
    ids=["ddp", "fsdp2", "zero2", "zero3"],
)
def test_two_processes_learn_what_one_learns(way, cases, folder, reference, tmp_path_factory):
    out = tmp_path_factory.mktemp(way)
    reference(FOUR[0])
    for path in folder.iterdir():  # the results of each way in a folder of its own
        (out / path.name).symlink_to(path)
    record = out / "alone, adapter" / SETTINGS_NAME
    record.write_text(record.read_text().replace('"finished": true', '"finished": false'))  # to be gone on with
    for case, result in zip(cases, launch(way, cases, out), strict=True):
        if "refused" in case.more:
            assert "world_size was 1 and is 2" in result["error"]
        if "refused" in case.more or "stops_at" in case.more:
            continue
        losses, learned = reference(case)
        ours = CoMemForConditionalGeneration.from_pretrained(out / case.name).own_parameters()
        if case.model == "tower":  # its alignment loss is a mean over pictures, of which a process may have none
            assert result["losses"][:2] == pytest.approx(losses[:2], abs=1e-5)
            start = CoMemForConditionalGeneration.from_pretrained(folder / case.model).own_parameters()
            assert not any(torch.equal(ours[name], start[name]) for name in ours)
            continue
        assert result["losses"] == pytest.approx(losses[-len(result["losses"]) :], abs=1e-5), case.name
        if case.of_both:  # Adam moves on what has a zero gradient, as in two processes, and not what has none
            continue
        apart = {name: float((ours[name] - tensor).abs().max()) for name, tensor in learned.items()}
        assert max(apart.values()) < 3e-6, (case.name, apart)
