"""A loop of one's own with accelerate: states are saved, loaded and gone on from."""

import pytest
import torch
from accelerate import Accelerator

from comem_hf.training import MemoryCollator
from tests.training.conftest import assert_equal, state_of


@pytest.fixture
def make_loop(make_trainable, tiny_processor, rows):
    """Makes a prepared model, its optimizer and a function that trains it by a step."""

    def make(encoder: str):
        accelerator = Accelerator(cpu=True)
        model = make_trainable(encoder=encoder, lora_config={"r": 2, "lora_alpha": 4, "lora_dropout": 0.0})
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        model, optimizer = accelerator.prepare(model, optimizer)

        def step():
            loss = model(**MemoryCollator(tiny_processor)(rows)).loss
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            return loss.item()

        return accelerator, model, step

    return make


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_a_saved_state_is_gone_on_from(encoder, make_loop, tmp_path):
    accelerator, model, step = make_loop(encoder)
    first = step()
    accelerator.save_state(tmp_path / "state")
    backbone = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    losses = [step() for _ in range(3)]
    trained = state_of(model)

    accelerator, other, step = make_loop(encoder)
    accelerator.load_state(tmp_path / "state")
    assert [step() for _ in range(3)] == pytest.approx(losses, abs=1e-6)
    assert losses[-1] < first
    for name, tensor in trained.items():
        torch.testing.assert_close(state_of(other)[name], tensor, msg=name)
    assert_equal(other.backbone.state_dict(), backbone)
