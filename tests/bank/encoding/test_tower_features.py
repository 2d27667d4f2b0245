"""Features of the vision tower, in the order of the picture."""

import torch

from comem_hf.bank.encoding.tower_features import tower_features


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
