"""A model without memory behind it: made on the meta device, given weights later, shared as ever."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForImageTextToText

from comem_hf import CoMemForConditionalGeneration
from tests.conftest import make_backbone, make_model, shares_weights


@pytest.fixture(scope="module", params=["adapter", "separate"])
def model(request, family):
    return make_model(family, encoder=request.param)


def on_meta(model) -> CoMemForConditionalGeneration:
    with torch.device("meta"):
        return CoMemForConditionalGeneration(model.config)


def test_a_model_on_the_meta_device_holds_nothing_and_counts_everything(model):
    empty = on_meta(model)
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert empty.num_parameters() == model.num_parameters()
    assert empty.num_parameters(only_trainable=True) == model.num_parameters(only_trainable=True)
    assert empty.state_dict().keys() == model.state_dict().keys()


def test_accelerates_empty_weights_hold_nothing(model):
    accelerate = pytest.importorskip("accelerate")
    with accelerate.init_empty_weights():
        empty = CoMemForConditionalGeneration(model.config)
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert empty.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("how", ["to_empty", "assign"])
@pytest.mark.parametrize("names", ["model", "checkpoint"])
def test_weights_given_to_an_empty_model_are_there_once(model, tmp_path, how, names):
    weights = model.state_dict()
    if names == "checkpoint":
        model.save_pretrained(tmp_path)
        weights = load_file(tmp_path / "model.safetensors")
    empty = on_meta(model)
    if how == "to_empty":
        assert shares_weights(empty.to_empty(device="cpu"))
    empty.load_state_dict(weights, assign=how == "assign")
    assert shares_weights(empty)
    assert empty.num_parameters() == model.num_parameters()
    for name, tensor in model.state_dict().items():
        assert torch.equal(empty.state_dict()[name], tensor), name


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_a_backbone_made_on_the_meta_device_keeps_the_weights_it_was_given(family, encoder):
    original = make_backbone(family)
    with torch.device("meta"):
        backbone = AutoModelForImageTextToText.from_config(original.config)
    backbone.to_empty(device="cpu").load_state_dict(original.state_dict())
    model = CoMemForConditionalGeneration.from_backbone(backbone, encoder=encoder)
    for name, tensor in original.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], tensor), name
    for name, tensor in model.memory_encoder.state_dict().items():
        if name.removeprefix("model.") in original.model.state_dict():
            assert torch.equal(tensor, original.model.state_dict()[name.removeprefix("model.")]), name


def test_loading_a_state_dict_is_strict(model):
    weights = dict(model.state_dict())
    del weights["memory_encoder.resampler.norm.weight"]
    with pytest.raises(RuntimeError, match="Missing key.*resampler.norm.weight"):
        make_model(model.config.backbone_config.model_type, encoder=model.config.encoder).load_state_dict(weights)


def test_loading_a_checkpoint_inside_a_meta_context_is_refused_as_transformers_does(model, tmp_path):
    model.save_pretrained(tmp_path)
    with torch.device("meta"), pytest.raises(RuntimeError, match="meta device context manager"):
        AutoModel.from_pretrained(tmp_path)
