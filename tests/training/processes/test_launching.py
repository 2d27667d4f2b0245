"""What cannot be trained on several devices is refused before any work, with the way that works."""

import sys
from types import SimpleNamespace

import pytest
from transformers import TrainingArguments

from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from comem_hf.training.processes.launching import launch_command, refuse_unfit_sharding


def fsdp(**changes) -> SimpleNamespace:
    settings = {"fsdp_version": 2, "activation_checkpointing": False, "cpu_ram_efficient_loading": False}
    return SimpleNamespace(**{**settings, "state_dict_type": "FULL_STATE_DICT", **changes})


def test_several_devices_in_one_process_are_refused_with_the_command_of_a_launcher(make_arguments, monkeypatch):
    monkeypatch.setattr(TrainingArguments, "n_gpu", 8)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/comem", "train", "--data", "my rows.jsonl"])
    command = r"torchrun --nproc-per-node 8 --no-python comem train --data 'my rows\.jsonl'"
    with pytest.raises(ValueError, match=f"8 devices would train with `nn.DataParallel`.*`{command}`"):
        make_arguments()
    assert launch_command(2, ["train.py", "--fast"]) == "torchrun --nproc-per-node 2 train.py --fast"


def test_what_cannot_be_sharded_is_refused_by_name(make_trainable, make_arguments):
    model, args = make_trainable(), make_arguments()
    refuse_unfit_sharding(model, args)
    refuse_unfit_sharding(model, args, fsdp=fsdp())
    for changes, told in (
        ({"fsdp_version": 1}, "set `fsdp_version: 2`"),
        ({"activation_checkpointing": True}, f"`{ACTIVATION_CHECKPOINTING}` to true"),
        ({"cpu_ram_efficient_loading": True}, "`fsdp_cpu_ram_efficient_loading: true` leaves.*set it to false"),
        ({"state_dict_type": "StateDictType.SHARDED_STATE_DICT"}, "set it to FULL_STATE_DICT"),
    ):
        with pytest.raises(ValueError, match=told):
            refuse_unfit_sharding(model, args, fsdp=fsdp(**changes))
    reentrant = {ACTIVATION_CHECKPOINTING: True, f"{ACTIVATION_CHECKPOINTING}_kwargs": {"use_reentrant": True}}
    with pytest.raises(ValueError, match="`use_reentrant: true`.*set it to false"):
        refuse_unfit_sharding(model, make_arguments(**reentrant), fsdp=fsdp())

    zero2, zero3 = SimpleNamespace(zero_stage=2), SimpleNamespace(zero_stage=3)
    with pytest.raises(ValueError, match="`muon_learning_rate` needs whole matrices; use DDP"):
        refuse_unfit_sharding(model, SimpleNamespace(muon_learning_rate=0.1), deepspeed=zero2)
    distilled = make_arguments(distillation_weight=0.5)
    refuse_unfit_sharding(model, distilled, deepspeed=zero2)
    with pytest.raises(ValueError, match="`distillation_weight` cannot be trained with sharded weights"):
        refuse_unfit_sharding(model, distilled, deepspeed=zero3)
    model.add_vision_memory()
    with pytest.raises(ValueError, match="Memory in feed-forward layers or vision tower cannot"):
        refuse_unfit_sharding(model, args, deepspeed=zero3)


def test_processes_make_their_own_batches_unless_told_otherwise(make_arguments):
    assert make_arguments().accelerator_config.dispatch_batches is False
    assert make_arguments(accelerator_config={"dispatch_batches": True}).accelerator_config.dispatch_batches is True
