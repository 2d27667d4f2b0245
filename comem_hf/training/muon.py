"""Muon in float32, for CPUs: many multiply bfloat16, in which `torch.optim.Muon` computes, ten times slower."""

from collections import defaultdict
from collections.abc import Iterable

import torch


COEFFICIENTS = (3.4445, -4.775, 2.0315)
ITERATIONS = 5


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Return matrices with the same singular vectors, whose singular values are about 1, by Newton-Schulz iterations.

    Args:
        matrices (`torch.Tensor` of shape `(matrices, rows, columns)`): The matrices.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """`torch.optim.Muon` (https://kellerjordan.github.io/posts/muon/), with matrices of one shape taken together.

    Args:
        params (`Iterable[torch.nn.Parameter]`): Matrices.
        lr (`float`): Learning rate.
        weight_decay (`float`): Decoupled weight decay.
        momentum (`float`, *optional*, defaults to `0.95`): Momentum, as Nesterov has it.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step; a `closure` is called first, with gradients enabled."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
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
                    updates.append(parameter.grad.lerp(buffer, group["momentum"]).float())
                rate = group["lr"] * max(1, rows / columns) ** 0.5
                for parameter, update in zip(parameters, orthogonal(torch.stack(updates)), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(update.to(parameter.dtype), alpha=rate)
        return loss
