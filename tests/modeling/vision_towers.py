"""Tiny vision towers, pictures of different sizes for them, and memory that does something."""

import torch
from torch import nn

from comem_hf.modeling.vision_blocks_comem import VisionSites
from comem_hf.modeling.vision_memory_comem import CoMemVisionMemory, VisionMemory
from tests.conftest import make_backbone


GRID = torch.tensor([[1, 4, 8], [1, 6, 4], [2, 4, 4]])  # the third is a video of two steps in time
SAMPLE_OF_IMAGE = torch.tensor([0, 1, 1])
VISION_SIZE, TEXT_SIZE = 32, 64


def make_tower(family: str) -> nn.Module:
    return make_backbone(family).model.visual.requires_grad_(False)


def pixels_of(grid: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.randn(int(grid.prod(-1).sum()), 3 * 2 * 14 * 14, generator=torch.Generator().manual_seed(seed))


def questions(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, TEXT_SIZE, generator=torch.Generator().manual_seed(seed))


def make_memory(pooling: str = "mean_max", seed: int = 0) -> CoMemVisionMemory:
    """Memory after some training, as it were: no weight is zero."""
    torch.manual_seed(seed)
    module = CoMemVisionMemory({"reduction_ratio": 4, "pooling": pooling}, VISION_SIZE, TEXT_SIZE)
    module.start()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return module


def run_tower(tower, memory: VisionMemory | None, grid=GRID, seed: int = 0, **kwargs):
    """The tower's output, with memory if there is any."""
    sites = {} if memory is None else {"vision_sites": VisionSites(memory=memory)}
    return tower(pixels_of(grid, seed), grid_thw=grid, **sites, **kwargs)
