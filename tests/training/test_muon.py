"""Muon in float32."""

import torch

from comem_hf.training.muon import Muon, orthogonal
from tests.training.conftest import needs_muon


@needs_muon
def test_steps_are_those_of_torchs_muon_but_for_the_rounding_of_bfloat16():
    torch.manual_seed(0)
    shapes = ((8, 24), (8, 24), (24, 8), (6, 6))
    ours, theirs = ([torch.nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    optimizers = (
        Muon(ours, lr=0.1, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1, momentum=0.95),
    )
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=0.01)
        assert not torch.allclose(one, torch.ones_like(one), atol=0.05)


def test_singular_values_become_about_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, 10, 20)))
    assert 0.6 < values.min() and values.max() < 1.3
