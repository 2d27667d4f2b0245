"""Training reaches the memory encoder's tensors, all of them, and nothing else."""

import pytest
import torch

from tests.conftest import make_model


def enable_checkpointing(model, use_reentrant: bool):
    # transformers renamed the method in version 5.
    name = "activation_checkpointing_enable"
    enable = getattr(model, name, None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": use_reentrant})


def gradients(model, inputs) -> dict[str, torch.Tensor]:
    model.zero_grad()
    torch.manual_seed(0)  # dropout
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.fixture(params=["adapter", "separate"])
def model(request, family):
    return make_model(family, encoder=request.param).train()


def test_gradient_reaches_every_trainable_tensor_and_no_frozen_one(model, make_inputs):
    grads = gradients(model, make_inputs((2, 1)))
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trainable
    assert all(name.startswith("memory_encoder.") for name in trainable)
    assert set(grads) == trainable
    # No gradient can reach these: softmax does not change when all keys move together.
    pinned = {name for name in grads if "k_proj.bias" in name or name.endswith("lm_head.weight")}
    for name, grad in grads.items():
        assert torch.isfinite(grad).all(), name
        assert name in pinned or grad.abs().max() > 0, name


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("require_input_grads", [True, False])
@pytest.mark.parametrize("with_text_only_item", [True, False])
@pytest.mark.parametrize("query_vision", ["backbone", "encoder"])
def test_gradients_with_checkpointing_equal_those_without(
    model, make_inputs, use_reentrant, require_input_grads, with_text_only_item, query_vision
):
    model.config.query_vision = query_vision
    inputs = make_inputs((2, 1) if with_text_only_item else (1, 1))
    expected = gradients(model, inputs)
    enable_checkpointing(model, use_reentrant)
    if require_input_grads:
        model.enable_input_require_grads()
    actual = gradients(model, inputs)
    assert actual.keys() == expected.keys()
    for name, grad in expected.items():
        torch.testing.assert_close(actual[name], grad, atol=1e-6, rtol=1e-4, msg=lambda text, name=name: name + text)


def test_checkpointed_encoding_recomputes_with_the_adapter_and_answering_without(family, make_inputs):
    # With dropout off and one wrong recomputation, gradients would differ by far more than rounding.
    model = make_model(family, lora_config={"r": 4, "lora_alpha": 64, "lora_dropout": 0.0}).train()
    inputs = make_inputs((1, 2))
    expected = gradients(model, inputs)
    enable_checkpointing(model, use_reentrant=False)
    for name, grad in gradients(model, inputs).items():
        torch.testing.assert_close(grad, expected[name], atol=1e-6, rtol=1e-4)


def test_only_adapter_and_resampler_are_trainable(family):
    model = make_model(family)
    trainable = sum(parameter.numel() for parameter in model.memory_encoder_parameters().values())
    assert model.num_parameters(only_trainable=True) == trainable
    assert all(
        ".adapter." in name or ".resampler." in name
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if parameter.requires_grad
    )


def test_adapter_covers_text_model_and_vision_tower_but_not_the_head(family):
    names = make_model(family).memory_encoder_state_dict()
    layers = {name.split(".lora_")[0].removeprefix("memory_encoder.model.") for name in names if ".lora_" in name}
    assert "language_model.layers.1.mlp.down_proj" in layers
    assert "visual.blocks.1.attn.qkv" in layers
    assert {"visual.merger.mlp.0", "visual.merger.mlp.2"} <= layers
    assert not any("lm_head" in layer for layer in layers)
