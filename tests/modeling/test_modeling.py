"""What tools around transformers expect of any model; `make peer-tests` runs transformers' own tests of it."""

import pytest
import torch

from comem_hf.modeling.cache_name_comem import CACHE_NAME
from tests.conftest import make_model, shares_weights


def test_the_base_model_is_the_model_without_its_head(tiny_model):
    base = tiny_model.base_model
    head = {id(parameter) for parameter in tiny_model.get_output_embeddings().parameters()}
    whole = {id(parameter) for parameter in tiny_model.parameters()}
    assert {id(parameter) for parameter in base.parameters()} | head == whole
    assert not any(module is base for module in tiny_model.modules())
    assert base.config is tiny_model.config
    assert tiny_model.get_decoder() is base.get_decoder() is tiny_model.backbone.model.language_model
    assert tiny_model.get_encoder("image") is base.get_encoder("image") is tiny_model.backbone.model.visual
    assert tiny_model.config.vision_config is tiny_model.backbone.config.vision_config


@torch.no_grad()
@pytest.mark.parametrize("counts", [(2, 0, 1), (None, None)])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_the_base_model_gives_the_hidden_states_of_the_logits(tiny_model, make_inputs, counts, padding_side):
    inputs = make_inputs(counts, padding_side=padding_side)
    hidden = tiny_model.base_model(**inputs).last_hidden_state
    assert hidden.shape[:2] == inputs["input_ids"].shape
    assert torch.equal(tiny_model.get_output_embeddings()(hidden), tiny_model(**inputs).logits)


@torch.no_grad()
def test_a_text_goes_on_from_the_cache_of_the_base_model(tiny_model, make_inputs):
    inputs, new = make_inputs((2,)), torch.tensor([[70, 71]])
    caches = [part(**inputs, use_cache=True)[CACHE_NAME] for part in (tiny_model, tiny_model.base_model)]
    expected = tiny_model(new, cache=caches[0]).logits
    hidden = tiny_model.base_model(new, cache=caches[1]).last_hidden_state
    assert torch.equal(tiny_model.get_output_embeddings()(hidden), expected)


def test_every_tensor_is_in_the_model_once_but_for_the_backbones_own_ties(family):
    model = make_model(family)
    names = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    shared = {name for group in names.values() for name in group[1:]}
    assert shared == {f"backbone.{name}" for name in model.backbone.get_expanded_tied_weights_keys()}
    assert shares_weights(model)


@torch.no_grad()
@pytest.mark.parametrize("counts", [(2, 1), (None, None)])
def test_outputs_are_tuples_on_request(tiny_model, make_inputs, counts):
    inputs = make_inputs(counts)
    assert torch.equal(tiny_model(**inputs, return_dict=False)[0], tiny_model(**inputs).logits)
    assert isinstance(tiny_model.get_image_features(**pictures(inputs), return_dict=False), tuple)


@torch.no_grad()
def test_features_of_pictures_are_the_backbones(tiny_model, make_inputs):
    pixels, grid = pictures(make_inputs((None,))).values()
    (expected,) = tiny_model.backbone.get_image_features(pixels, grid).pooler_output
    (images,) = tiny_model.get_image_features(pixels, grid).pooler_output
    (videos,) = tiny_model.get_video_features(pixels, grid).pooler_output
    assert torch.equal(images, expected)
    assert torch.equal(videos, expected)


def pictures(inputs):
    return {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}


@torch.no_grad()
@pytest.mark.skipif(CACHE_NAME != "cache", reason="came with transformers 5.24")
@pytest.mark.parametrize("counts", [(2, 1), (None, None)])
def test_outputs_of_the_vision_tower_are_among_the_outputs(tiny_model, make_inputs, counts):
    inputs = make_inputs(counts)
    expected = tiny_model.backbone.get_image_features(**pictures(inputs))
    for part in (tiny_model, tiny_model.base_model):
        output = part(**inputs, output_hidden_states=True)
        assert output.video_outputs is None
        assert len(output.image_outputs.hidden_states) == len(tiny_model.backbone.model.visual.blocks) + 1
        for ours, theirs in zip(output.image_outputs.pooler_output, expected.pooler_output, strict=True):
            assert torch.equal(ours, theirs)
