"""Recovering an adapter from weights it was merged into."""

from dataclasses import dataclass

import torch


@dataclass
class LowRankChange:
    """
    A linear layer's change, factored: `merged = base + lora_b @ lora_a` up to `error`.

    Args:
        lora_a (`torch.Tensor` of shape `(rank, in)`), lora_b (`torch.Tensor` of shape `(out, rank)`): The factors.
        error (`float`): Frobenius norm of what they leave out, relative to the change.
        noise (`float`): The part of `error` that rounding the merged weights explains.
    """

    lora_a: torch.Tensor
    lora_b: torch.Tensor
    error: float
    noise: float

    @property
    def rank(self) -> int:
        """Number of singular values above the rounding noise."""
        return self.lora_a.shape[0]

    def padded(self, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the factors with zeros up to `rank`."""
        missing = rank - self.rank
        return (
            torch.nn.functional.pad(self.lora_a, (0, 0, 0, missing)),
            torch.nn.functional.pad(self.lora_b, (0, missing)),
        )


def factor_change(merged: torch.Tensor, base: torch.Tensor) -> LowRankChange:
    """
    Factors `merged - base` by singular value decomposition.

    The rank is the number of singular values above what rounding to the dtype of `merged` can make: a random matrix
    whose entries have standard deviation `s` has no singular value above about `s * (sqrt(out) + sqrt(in))`.

    Args:
        merged (`torch.Tensor` of shape `(out, in)`): The weight with the adapter in it.
        base (`torch.Tensor` of shape `(out, in)`): The backbone's weight.
    """
    change = merged.double() - base.double()
    rows, columns = change.shape
    spread = torch.finfo(merged.dtype).eps * merged.double().square().mean().sqrt().item()
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    rank = int((values > spread * (rows**0.5 + columns**0.5)).sum())
    norm = values.norm().item() or 1.0
    root = values[:rank].sqrt()
    return LowRankChange(
        lora_a=(root[:, None] * right[:rank]).float(),
        lora_b=(left[:, :rank] * root).float(),
        error=values[rank:].norm().item() / norm if rank else 0.0,
        noise=spread * (rows * columns) ** 0.5 / norm if rank else 0.0,
    )


__all__ = ["LowRankChange", "factor_change"]
