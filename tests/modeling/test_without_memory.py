"""Without memory the model is its backbone, bit for bit, before and after training."""

import copy

import pytest
import torch

from tests.conftest import make_model


@pytest.fixture(scope="module")
def trained(family, make_inputs):
    """A model, and an untouched copy of its backbone from before the memory encoder was trained."""
    model = make_model(family)
    untouched = copy.deepcopy(model.backbone)
    inputs = make_inputs((2, 1))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(2):
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), untouched


@torch.no_grad()
@pytest.mark.parametrize("with_image", [True, False])
def test_forward_is_bit_identical_to_the_backbone(trained, make_inputs, with_image):
    model, backbone = trained
    inputs = make_inputs((None, None, None), with_image=with_image)
    ours = model(**inputs, labels=inputs["input_ids"])
    theirs = backbone(**inputs, labels=inputs["input_ids"])
    assert torch.equal(ours.logits, theirs.logits)
    assert torch.equal(ours.loss, theirs.loss)


@torch.no_grad()
def test_an_empty_list_of_memories_changes_nothing(trained, make_inputs):
    model, backbone = trained
    inputs = make_inputs((0, 0))
    assert inputs["memory_inputs"]["input_ids"].shape == (0, 0)
    logits = model(**inputs).logits
    inputs.pop("memory_inputs")
    torch.testing.assert_close(logits, backbone(**inputs).logits)


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": False},
        {"do_sample": True, "temperature": 1.5},
        {"num_beams": 3, "do_sample": False},
        {"num_return_sequences": 2, "do_sample": True},
    ],
)
def test_generate_is_identical_to_the_backbone(trained, make_inputs, settings):
    model, backbone = trained
    inputs = make_inputs((None, None))
    torch.manual_seed(5)
    ours = model.generate(**inputs, max_new_tokens=6, **settings)
    torch.manual_seed(5)
    theirs = backbone.generate(**inputs, max_new_tokens=6, **settings)
    assert torch.equal(ours, theirs)


def test_training_left_every_tensor_of_the_backbone_as_it_was(trained):
    model, untouched = trained
    for (name, ours), theirs in zip(model.backbone.named_parameters(), untouched.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
