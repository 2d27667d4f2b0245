"""What tools around transformers expect of any model; `make peer-tests` runs transformers' own tests of it."""

import pytest
import torch

from tests.conftest import make_model, shares_weights


def test_the_base_model_is_the_backbone(tiny_model):
    assert tiny_model.base_model is tiny_model.backbone
    assert tiny_model.get_decoder() is tiny_model.backbone.model.language_model
    assert tiny_model.config.vision_config is tiny_model.backbone.config.vision_config


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
