"""Patch features of a backbone's vision tower, before they are merged into tokens."""

from collections.abc import Mapping

import torch
from transformers.vision_utils import get_vision_window_index


def tower_features(model, memory_inputs: Mapping, layer: int = -1) -> list[torch.Tensor]:
    """Patch features of each image, from the backbone's vision tower.

    Args:
        model (`CoMemForConditionalGeneration`): The model; the adapter of its memory encoder is not used.
        memory_inputs (`Mapping`): `pixel_values` and `image_grid_thw`, as its processor prepares them.
        layer (`int`, defaults to -1): 0 is the patch embedding, `n` the output of the n-th block, -1 that of the last.

    Returns:
        `list[torch.Tensor]`: Per image a float32 tensor of shape (channels, rows of patches, columns of patches).
    """
    tower = model.backbone.model.visual
    grids = memory_inputs["image_grid_thw"].to(model.device)
    outputs = model.get_image_features(
        memory_inputs["pixel_values"].to(model.device), grids, output_hidden_states=layer != -1
    )
    patches = (outputs.last_hidden_state if layer == -1 else outputs.hidden_states[layer]).float()
    merge = tower.spatial_merge_size
    blocks = patches.view(-1, merge, merge, patches.shape[-1])  # the patches that become one token lie together
    if hasattr(tower, "fullatt_block_indexes"):  # Qwen2.5-VL sorts the blocks by attention window
        window_index, _ = get_vision_window_index(grids, tower.spatial_merge_size, tower.window_size, tower.patch_size)
        blocks = blocks[torch.argsort(window_index).to(blocks.device)]
    features = []
    for image, (_, rows, columns) in zip(
        blocks.split((grids.prod(dim=1) // merge**2).tolist()), grids.tolist(), strict=True
    ):
        image = image.view(rows // merge, columns // merge, merge, merge, -1)
        features.append(image.permute(4, 0, 2, 1, 3).reshape(-1, rows, columns))
    return features
