"""A batch without items or pictures takes the way of one that has them, and nothing else changes."""

import copy

import pytest
import torch

from tests.conftest import make_model


def without_pictures(inputs) -> dict:
    """Inputs whose items have lost their pictures."""
    items = {
        name: value
        for name, value in inputs["memory_inputs"].items()
        if name not in ("pixel_values", "image_grid_thw")
    }
    items["input_ids"] = items["input_ids"].clamp(max=255)
    del items["mm_token_type_ids"]
    return {**inputs, "memory_inputs": items}


def gradients(model, inputs) -> dict[str, torch.Tensor | None]:
    model.zero_grad()
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    return {name: parameter.grad for name, parameter in model.memory_encoder_parameters().items()}


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_every_trained_tensor_takes_part_in_each_batch_of_several_processes(encoder, family, make_inputs, monkeypatch):
    model = make_model(family, encoder=encoder, lora_config={"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}).train()
    batches = [
        dict(make_inputs((1, 2))),
        without_pictures(make_inputs((1, 2))),
        dict(make_inputs((None, None))),
        dict(make_inputs((None, None), with_image=False)),
    ]
    alone = [copy.copy(gradients(model, batch)) for batch in batches]
    assert any(gradient is None for gradient in alone[1].values())  # of the vision tower
    monkeypatch.setattr("comem_hf.modeling.stand_ins_comem.in_processes", lambda: True)
    for batch, before in zip(batches, alone, strict=True):
        for name, gradient in gradients(model, batch).items():
            assert gradient is not None, name
            expected = torch.zeros_like(gradient) if before[name] is None else before[name]
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6, msg=name)


def test_with_sharded_weights_both_vision_towers_run_in_evaluation_too(family, make_inputs, monkeypatch):
    model, seen = make_model(family), []
    for tower in (model.backbone.model.visual, model.memory_encoder.model.visual):
        tower.register_forward_hook(lambda tower, inputs, output: seen.append(tower))
    inputs = make_inputs((None, None), with_image=False)
    with torch.no_grad():
        alone = model(**inputs).logits
        assert seen == []
        for module in ("stand_ins_comem", "prompt_with_memory_comem"):
            monkeypatch.setattr(f"comem_hf.modeling.{module}.is_sharded", lambda model: True)
        monkeypatch.setattr("comem_hf.modeling.stand_ins_comem.in_processes", lambda: True)
        together = model(**inputs).logits
    assert seen == [model.memory_encoder.model.visual, model.backbone.model.visual]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_a_batch_with_nothing_to_learn_from_has_zero_gradients(family, make_inputs):
    model = make_model(family).train()
    for with_labels in (True, False):
        model.zero_grad()
        inputs = make_inputs((None,))
        output = model(**inputs, labels=inputs["input_ids"] if with_labels else None)
        (output.loss if with_labels else output.logits.sum()).backward()
        assert all(not parameter.grad.any() for parameter in model.memory_encoder_parameters().values())


def test_the_layers_that_stay_whole_are_those_of_the_model(family):
    model = make_model(family)
    assert {type(module).__name__ for module in model.modules()} >= set(model._no_split_modules)
    layer = type(model.backbone.model.language_model.layers[0]).__name__
    assert {layer, "CoMemResampler"} <= set(model._no_split_modules)
    model.add_ffn_memory(source="memory")
    assert layer not in model._no_split_modules and f"CoMem{layer}" in model._no_split_modules
    model.remove_ffn_memory()
    assert layer in model._no_split_modules
