"""Features of the vision tower, in the order of the picture."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from comem_hf.bank.encoding.tower_features import tower_features
from tests.conftest import make_model


def test_tower_features_are_in_the_order_of_the_picture(family_model, prepared):
    tower = family_model.backbone.model.visual
    with torch.no_grad():
        expected = family_model.get_image_features(prepared["pixel_values"], prepared["image_grid_thw"]).pooler_output
        for feature, merged in zip(tower_features(family_model, prepared), expected, strict=True):
            channels, rows, columns = feature.shape
            blocks = feature.view(channels, rows // 2, 2, columns // 2, 2).permute(1, 3, 2, 4, 0)
            torch.testing.assert_close(tower.merger(blocks.reshape(-1, channels)), merged)


def test_tower_features_of_the_first_layer_are_the_patch_embedding(family_model, prepared):
    tower = family_model.backbone.model.visual
    with torch.no_grad():
        features = tower_features(family_model, prepared, layer=0)
        embedded = tower.patch_embed(prepared["pixel_values"])
    first = features[0]
    patches = first.view(first.shape[0], first.shape[1] // 2, 2, first.shape[2] // 2, 2).permute(1, 3, 2, 4, 0)
    torch.testing.assert_close(patches.reshape(-1, first.shape[0]), embedded[: first.shape[1] * first.shape[2]])
    last = tower_features(family_model, prepared, layer=len(tower.blocks))
    for each, expected in zip(last, tower_features(family_model, prepared), strict=True):
        torch.testing.assert_close(each, expected)


@pytest.mark.parametrize("layer", [0, 1])
def test_features_of_a_layer_are_its_hidden_states_whoever_else_uses_the_model(family_model, prepared, layer):
    with torch.no_grad():
        alone = tower_features(family_model, prepared, layer)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda number: no_grad_features(family_model, prepared, layer), range(12)))
    for features in found:
        assert all(torch.equal(each, expected) for each, expected in zip(features, alone, strict=True))


@torch.no_grad()
def no_grad_features(model, prepared, layer):
    return tower_features(model, prepared, layer)


def test_no_hook_is_left_on_the_model_so_that_it_can_be_pickled(prepared):
    model = make_model()
    with torch.no_grad():
        tower_features(model, prepared, layer=1)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert isinstance(pickle.loads(pickle.dumps(model)), type(model))
