"""The first half of a low-rank change while it is learned: dropout, then the factor A."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable


LANES = 4  # random numbers of 16 bits in one of 64
STEPS = 2**16


def drop_and_reduce(states: torch.Tensor, a: torch.Tensor, rate: float) -> torch.Tensor:
    """Compute `dropout(states) @ A^T`, and keep for the backward pass no more than the states and a byte for each.

    Layers that read the same states share them, so that many a layer keeps the bytes alone. torch's own dropout keeps
    its output too, and on the CPU its factors, nine bytes in float32, and takes as long there as the layer itself.

    Args:
        states (`torch.Tensor` of shape `(..., in)`): The input of a layer.
        a (`torch.Tensor` of shape `(rank, in)`): The factor A; it may have another type, in mixed precision.
        rate (`float`): The share of numbers that become 0; the others are divided by what remains.

    Returns:
        `torch.Tensor` of shape `(..., rank)`: In the type of autocast, or of A.
    """
    return _DropAndReduce.apply(states, a, rate)


class _DropAndReduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, states: torch.Tensor, a: torch.Tensor, rate: float) -> torch.Tensor:
        device = states.device.type
        ctx.dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else a.dtype
        ctx.scale, mask = draw_mask(states, rate)
        ctx.save_for_backward(states, mask, a)
        return F.linear(_kept(states, mask).to(ctx.dtype), a.to(ctx.dtype)) * ctx.scale

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        states, mask, a = ctx.saved_tensors
        gradient = gradient * ctx.scale
        of_states = of_a = None
        if ctx.needs_input_grad[0]:
            of_states = _kept((gradient @ a.to(ctx.dtype)).to(states.dtype), mask)
        if ctx.needs_input_grad[1]:
            dropped = _kept(states, mask).to(ctx.dtype)
            of_a = (gradient.flatten(0, -2).t() @ dropped.flatten(0, -2)).to(a.dtype)
        return of_states, of_a, None


def draw_mask(states: torch.Tensor, rate: float) -> tuple[float, torch.BoolTensor]:
    """Draw where states are kept; return the factor that makes up for the others, and the mask.

    On the CPU the rate is rounded to a multiple of 2^-16, as random numbers of 16 bits are compared with it: drawing
    them takes an eighth of the time of drawing one truth at a time.
    """
    if states.device.type != "cpu":
        return 1 / (1 - rate), torch.empty_like(states, dtype=torch.bool).bernoulli_(1 - rate)
    dropped = round(rate * STEPS)
    words = torch.empty(-(-states.numel() // LANES), dtype=torch.int64, device="cpu")
    numbers = words.random_(torch.iinfo(torch.int64).min, None).view(torch.int16)[: states.numel()]
    return STEPS / (STEPS - dropped), (numbers >= dropped - STEPS // 2).view(states.shape)


def _kept(states: torch.Tensor, mask: torch.BoolTensor) -> torch.Tensor:
    return torch.where(mask, states, 0)


__all__ = ["draw_mask", "drop_and_reduce"]
