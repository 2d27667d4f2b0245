"""Two processes train together, each on batches that use other parts of the model."""

import json
import os
import subprocess
import sys

import pytest
import torch

from comem_hf import CoMemForConditionalGeneration
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING


# Run in each process, in a folder of the model and its rows.
TRAIN = """
import json, sys
import torch
from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import MemoryTrainingArguments, train_memory_encoder

settings = json.loads(sys.argv[1])
model = CoMemForConditionalGeneration.from_pretrained("model")
rows = json.loads(open("rows.json").read())
train_memory_encoder(model, CoMemProcessor.from_pretrained("model"), rows, MemoryTrainingArguments(**settings))
assert not model._forward_hooks
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "checkpointing"),
    [({}, False), ({"num_memory_tokens": 0, "vision_memory_config": {}}, True)],
    ids=["input", "tower with checkpointing"],
)
def test_processes_whose_batches_lack_items_or_pictures_train_together(
    config, checkpointing, make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    model = make_trainable(**config)
    model.save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    rows[0]["image"].save(tmp_path / "0.png")
    picture = str(tmp_path / "0.png")
    items = [{"image": picture, "text": "A fact."}] if model.config.num_memory_tokens else []
    plain, full = {"image": None, "memories": []}, {"image": picture, "memories": items}
    # In order, a row for each process: the first one never has pictures or items.
    told = [{**(full if n % 2 else plain), "question": f"What is {n}?", "answer": str(n)} for n in range(4)]
    (tmp_path / "rows.json").write_text(json.dumps(told))
    settings = {"output_dir": "out", "max_steps": 4, "per_device_train_batch_size": 1, "use_cpu": True}
    settings |= {"gradient_accumulation_steps": 1, "train_sampling_strategy": "sequential", "learning_rate": 1e-2}
    settings |= {
        "disable_tqdm": True,
        "save_strategy": "no",
        "warmup_steps": 0,
        ACTIVATION_CHECKPOINTING: checkpointing,
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    (tmp_path / "train.py").write_text(TRAIN)
    done = subprocess.run(
        [*command, "train.py", json.dumps(settings)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    trained = CoMemForConditionalGeneration.from_pretrained(tmp_path / "out").own_parameters()
    moved = [name for name, tensor in model.own_parameters().items() if not torch.equal(tensor, trained[name])]
    assert moved == list(trained)
