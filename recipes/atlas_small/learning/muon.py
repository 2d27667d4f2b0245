"""Muon in float32: on CPUs that cannot multiply bfloat16, ten times as fast as `torch.optim.Muon`."""

from collections import defaultdict

import torch
from torch import nn

from comem_hf.training.optimizer import MuonWithAdamW


COEFFICIENTS = (3.4445, -4.775, 2.0315)
ITERATIONS = 5


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Return the nearest (semi-)orthogonal matrices, roughly, by Newton-Schulz (matrices, rows, columns)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """`torch.optim.Muon` (Nesterov, scale by shape as the original), with matrices of one shape taken together.

    Args:
        params: Matrices.
        lr (`float`): Learning rate.
        weight_decay (`float`): Decoupled weight decay.
        momentum (`float`, *optional*, defaults to `0.95`): Momentum.
    """

    def __init__(self, params, lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for (rows, columns), parameters in by_shape.items():
                updates = []
                for parameter in parameters:
                    state = self.state[parameter]
                    if not state:
                        state["momentum_buffer"] = torch.zeros_like(parameter)
                    buffer = state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
                    updates.append(parameter.grad.lerp(buffer, group["momentum"]))
                scale = group["lr"] * max(1, rows / columns) ** 0.5
                for parameter, update in zip(parameters, orthogonal(torch.stack(updates)), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=scale)


class Float32MuonWithAdamW(MuonWithAdamW):
    """[`MuonWithAdamW`] whose Muon computes in float32."""

    def __init__(self, model: nn.Module, *, muon_lr: float, weight_decay: float, **kwargs):
        super().__init__(model, muon_lr=muon_lr, weight_decay=weight_decay, **kwargs)
        self.inner[0] = Muon(self.inner[0].param_groups[0]["params"], lr=muon_lr, weight_decay=weight_decay)
        self.param_groups = [group for optimizer in self.inner for group in optimizer.param_groups]
