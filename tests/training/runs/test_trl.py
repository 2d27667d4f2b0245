"""TRL's `SFTTrainer`, which multiplies the last hidden states by the head itself, trains a memory encoder, too."""

import copy

import pytest
import torch

from comem_hf.training import MemoryCollator
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING
from comem_hf.training.parts.freezing import trainable_parameters
from tests.training.conftest import picture, state_of


trl = pytest.importorskip("trl", reason="trl is not installed")
datasets = pytest.importorskip("datasets")


@pytest.fixture
def dataset(tmp_path):
    """Two rows with pictures and items, a row with an item of text, and one without memory."""
    rows = []
    for index in range(4):
        path = str(tmp_path / f"{index}.png")
        picture(50 * index).save(path)
        memories = [{"image": path if index < 2 else None, "text": f"Item {index} is {index * index}."}]
        row = {"image": path, "question": f"What is {index}?", "answer": str(index * index)}
        rows.append({**row, "memories": memories if index < 3 else []})
    return datasets.Dataset.from_list(rows)


@pytest.fixture
def make_trainer(dataset, tiny_processor, tmp_path):
    def make(model, **settings):
        defaults = {
            "output_dir": str(tmp_path / "run"),
            "max_steps": 15,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-2,
            "lr_scheduler_type": "constant",
            "logging_steps": 1,
            "save_strategy": "no",
            ACTIVATION_CHECKPOINTING: True,
            "report_to": "none",
            "remove_unused_columns": False,
            "max_length": None,
            "bf16": False,
            "use_cpu": True,
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
        }
        return trl.SFTTrainer(
            model=model,
            args=trl.SFTConfig(**{**defaults, **settings}),
            train_dataset=dataset,
            processing_class=copy.deepcopy(tiny_processor),
            data_collator=MemoryCollator(tiny_processor),
        )

    return make


def test_the_loss_falls_and_nothing_but_the_memory_encoder_changes(make_trainable, make_trainer):
    model = make_trainable()
    backbone = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    before = state_of(model)
    trainer = make_trainer(model)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(tensor, backbone[name]) for name, tensor in model.backbone.state_dict().items())
    assert [name for name, tensor in state_of(model).items() if torch.equal(tensor, before[name])] == []


@pytest.mark.parametrize("checkpointing", [False, True])
def test_loss_and_gradients_are_those_of_the_model_itself(make_trainable, make_trainer, dataset, checkpointing):
    settings = {"lora_config": {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}}
    models = [make_trainable(**settings) for _ in range(2)]
    losses = []
    for model in models:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("/B"):  # zero at the start, which leaves the other half without a gradient
                    parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) / 10)
        trainer = make_trainer(model, **{ACTIVATION_CHECKPOINTING: checkpointing})
        model.train()
        batch = trainer.data_collator(list(dataset))
        if model is models[0]:
            loss = trainer.compute_loss(model, batch)
        else:
            loss = type(model).forward(model, **batch).loss
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    theirs, ours = ({name: p.grad for name, p in trainable_parameters(model).items()} for model in models)
    assert len(ours) > 10
    for name, gradient in ours.items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(theirs[name], gradient, rtol=1e-3, atol=1e-6, msg=name)


def test_what_was_trained_is_saved_and_resumed(make_trainable, make_trainer, tmp_path):
    model = make_trainable()
    trainer = make_trainer(model, max_steps=2, save_strategy="steps", save_steps=1)
    trainer.train()
    folder = tmp_path / "run" / "checkpoint-2"
    loaded = type(model).from_pretrained(folder)
    for name, tensor in state_of(model).items():
        assert torch.equal(state_of(loaded)[name], tensor), name
    resumed = make_trainable()
    make_trainer(resumed, max_steps=2).train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))
    for name, tensor in state_of(model).items():
        torch.testing.assert_close(state_of(resumed)[name], tensor, msg=name)
