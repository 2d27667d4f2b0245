"""Blocks of the backbones' vision towers that memory can enter: beside their feed-forward layer, and after them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLVisionBlock
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLVisionBlock

from .composition_comem import compose, restore
from .vision_memory_comem import VisionMemory


@dataclass
class VisionSites:
    """What enters a vision tower in one call: `visual(..., vision_sites=VisionSites(...))`."""

    adapters: Sequence[Callable[[torch.Tensor], torch.Tensor]] | None = None
    """One per block: it gets the input of the block's feed-forward layer, and its result is added to that layer's."""
    memory: VisionMemory | None = None
    """Applied to the output of every block."""


class VisionBlockMixin:
    """A block that memory enters if a call brings any. Without, it is the block that it was, to the last bit."""

    index: int
    """Number of the block in its tower."""

    def forward(
        self, hidden_states: torch.Tensor, *args, vision_sites: VisionSites | None = None, **kwargs
    ) -> torch.Tensor:
        """Compute the block's output; `args` and `kwargs` are the block's own."""
        if vision_sites is None:
            return super().forward(hidden_states, *args, **kwargs)
        if vision_sites.adapters is None:
            hidden_states = super().forward(hidden_states, *args, **kwargs)
        else:
            hidden_states = hidden_states + self.attn(self.norm1(hidden_states), *args, **kwargs)
            states = self.norm2(hidden_states)
            hidden_states = hidden_states + self.mlp(states) + vision_sites.adapters[self.index](states)
        if vision_sites.memory is not None:
            hidden_states = vision_sites.memory.after_block(self.index, hidden_states)
        return hidden_states


class CoMemQwen2VLVisionBlock(VisionBlockMixin, Qwen2VLVisionBlock):
    """Qwen2-VL's block."""


class CoMemQwen2_5_VLVisionBlock(VisionBlockMixin, Qwen2_5_VLVisionBlock):  # noqa: N801
    """Qwen2.5-VL's block."""


COMPOSED = {
    Qwen2VLVisionBlock: CoMemQwen2VLVisionBlock,
    Qwen2_5_VLVisionBlock: CoMemQwen2_5_VLVisionBlock,
}


def compose_blocks(visual: nn.Module):
    """Replace the blocks of a vision tower by blocks that memory can enter, made of the same parts.

    Args:
        visual (`nn.Module`): The tower, with its blocks in `blocks`. Names and tensors of its state do not change.

    Raises:
        ValueError: If a block is of a class that is not known.
    """
    compose(visual.blocks, COMPOSED)
    for index, block in enumerate(visual.blocks):
        block.index = index


def restore_blocks(visual: nn.Module):
    """Give a vision tower that [`compose_blocks`] has changed blocks of their own class again, of the same parts."""
    restore(visual.blocks, COMPOSED)
    for block in visual.blocks:
        vars(block).pop("index", None)


__all__ = ["VisionBlockMixin", "VisionSites", "compose_blocks", "restore_blocks"]
