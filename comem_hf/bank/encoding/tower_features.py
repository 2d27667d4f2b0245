"""Patch features of a backbone's vision tower, before they are merged into tokens."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from transformers.vision_utils import get_vision_window_index


def tower_features(model, memory_inputs: Mapping, layer: int = -1) -> list[torch.Tensor]:
    """Patch features of each image, from the backbone's vision tower as it is without the model's memory.

    So neither the question nor training of the model's own tensors changes how items are found.

    Args:
        model (`CoMemForConditionalGeneration`): The model; the adapter of its memory encoder is not used.
        memory_inputs (`Mapping`): `pixel_values` and `image_grid_thw`, as its processor prepares them.
        layer (`int`, defaults to -1): 0 is the patch embedding, `n` the output of the n-th block, -1 that of the last.

    Returns:
        `list[torch.Tensor]`: Per image a float32 tensor of shape (channels, rows of patches, columns of patches).
    """
    tower = model.backbone.model.visual
    grids = memory_inputs["image_grid_thw"].to(model.device)
    with _hidden_states(tower.blocks, layer) as hidden_states:
        outputs = model.backbone.get_image_features(memory_inputs["pixel_values"].to(model.device), grids)
    patches = (outputs.last_hidden_state if layer == -1 else hidden_states[0]).float()
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


@contextmanager
def _hidden_states(blocks: nn.ModuleList, layer: int) -> Iterator[list[torch.Tensor]]:
    """Record the output of a block (0: the input of the first) that this thread computes in a `with` statement.

    `output_hidden_states` would leave hooks on the model with which it can no longer be pickled.
    """
    found, thread = [], threading.get_ident()

    def record(hidden_states) -> None:
        if threading.get_ident() == thread:  # another thread may use the same model
            found.append(hidden_states[0] if isinstance(hidden_states, tuple) else hidden_states)

    if layer == -1:
        yield found
        return
    if layer == 0:
        hook = blocks[0].register_forward_pre_hook(lambda block, inputs: record(inputs))
    else:
        hook = blocks[layer - 1].register_forward_hook(lambda block, inputs, output: record(output))
    try:
        yield found
    finally:
        hook.remove()
