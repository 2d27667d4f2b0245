"""Recovery of an adapter from the weights into which it was merged."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from .rounding import RoundingNoise, rounding_noises


FIRST_SKETCH = 48  # singular vectors; enough for a rank of 16 or 32
POWER_ITERATIONS = 2
EXACT_BELOW = 512  # of the smaller side; below it, a full decomposition is as fast as a sketch
ROWS_AT_ONCE = 1024
ARITHMETIC_NOISE = 2**-20  # of the largest singular value; from float32 arithmetic, here and when merging

Decomposition = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # left vectors, values, right vectors


@dataclass
class LowRankChange:
    """Factors of a linear layer's change: `merged = base + lora_b @ lora_a` up to `error`.

    Args:
        lora_a (`torch.Tensor` of shape `(rank, in)`), lora_b (`torch.Tensor` of shape `(out, rank)`): The factors.
        error (`float`): Frobenius norm of the part that they leave out, relative to the change, measured on the
            factors.
        noise (`float`): The largest part of `error` that can come from rounding the merged or the base weights.
    """

    lora_a: torch.Tensor
    lora_b: torch.Tensor
    error: float
    noise: float

    @property
    def rank(self) -> int:
        """Number of singular values above the rounding noise, unless another rank was given."""
        return self.lora_a.shape[0]

    @property
    def is_low_rank(self) -> bool:
        """Whether the factors are smaller than the layer."""
        return _is_low_rank(self.rank, self.lora_b.shape[0], self.lora_a.shape[1])

    def padded(self, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the factors, padded with zeros up to `rank`."""
        missing = rank - self.rank
        return (
            torch.nn.functional.pad(self.lora_a, (0, 0, 0, missing)),
            torch.nn.functional.pad(self.lora_b, (0, missing)),
        )


def factor_change(merged: torch.Tensor, base: torch.Tensor, rank: int | None = None) -> LowRankChange:
    """Factor `merged - base` by singular value decomposition.

    Large layers are decomposed by randomized subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4),
    with more and more vectors until the last singular value found is rounding noise.

    Args:
        merged (`torch.Tensor` of shape `(out, in)`): The weight with the adapter in it.
        base (`torch.Tensor` of shape `(out, in)`): The backbone's weight. Its dtype may be another.
        rank (`int`, *optional*): Number of singular values to keep; defaults to those above the rounding noise.
    """
    change = merged.to(torch.float32, copy=True).sub_(base)
    norm = _norm(change)
    if norm == 0:
        return LowRankChange(change.new_zeros(0, change.shape[1]), change.new_zeros(change.shape[0], 0), 0.0, 0.0)
    noises = rounding_noises(merged, base)
    for left, values, right in _decompositions(change, at_least=rank or 0):
        noise = noises[-1] if rank else _noise_below((left, values, right), noises, change)
        if noise is not None:
            break
    kept = min(rank, len(values)) if rank else _rank_above(noise, values)
    root = values[:kept].sqrt()
    lora_a = (root[:, None] * right[:kept]).float()
    lora_b = (left[:, :kept] * root).float()
    error = _norm_left(change, lora_a, lora_b) / norm
    return LowRankChange(lora_a, lora_b, error=error, noise=noise.largest_norm / norm)


def _decompositions(change: torch.Tensor, at_least: int) -> Iterator[Decomposition]:
    """Yield decompositions with more and more singular values, largest first; the last one has all of them."""
    smaller = min(change.shape)
    if smaller >= EXACT_BELOW:
        size = max(FIRST_SKETCH, at_least + FIRST_SKETCH // 2)
        while size <= smaller // 4:  # above, a full decomposition costs hardly more
            yield _sketch(change, size)
            size *= 2
    # Small matrices in double precision, which costs next to nothing.
    yield tuple(torch.linalg.svd(change.double() if smaller < EXACT_BELOW else change, full_matrices=False))


def _sketch(change: torch.Tensor, size: int) -> Decomposition:
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(change @ torch.randn(change.shape[1], size, generator=generator)).Q
    for _ in range(POWER_ITERATIONS):
        basis = torch.linalg.qr(change @ torch.linalg.qr(change.T @ basis).Q).Q
    basis = torch.linalg.qr(basis.double()).Q  # must be orthogonal beyond float32, or the product misses the change
    left, values, right = torch.linalg.svd((basis.float().T @ change).double(), full_matrices=False)
    return (basis @ left).float(), values.float(), right.float()


def _noise_below(
    decomposition: Decomposition, noises: list[RoundingNoise], change: torch.Tensor
) -> RoundingNoise | None:
    """Return the noise that explains all smaller singular values of `change`; `None` if more values are needed."""
    left, values, right = decomposition
    if len(values) == min(change.shape):
        for noise in noises:
            if _is_low_rank(_rank_above(noise, values), *change.shape):
                return noise
        return noises[-1]
    certain, possible = noises[0], noises[-1]
    if values[-1] <= _threshold(certain, values):
        return certain
    # Rounding of the base leaves about its whole norm outside the few values known here; an adapter does not.
    if values[-1] <= _threshold(possible, values) and _norm_left(change, right, left * values) > possible.norm / 2:
        return possible
    return None


def _rank_above(noise: RoundingNoise, values: torch.Tensor) -> int:
    return int((values > _threshold(noise, values)).sum())


def _threshold(noise: RoundingNoise, values: torch.Tensor) -> float:
    return noise.largest_value + ARITHMETIC_NOISE * values[0].item()


def _is_low_rank(rank: int, rows: int, columns: int) -> bool:
    return rank * (rows + columns) < rows * columns


def _norm_left(change: torch.Tensor, lora_a: torch.Tensor, lora_b: torch.Tensor) -> float:
    squares = 0.0
    for part, b in zip(change.split(ROWS_AT_ONCE), lora_b.split(ROWS_AT_ONCE), strict=True):
        squares += _norm(part - b @ lora_a) ** 2
    return squares**0.5


def _norm(matrix: torch.Tensor) -> float:
    return torch.linalg.vector_norm(matrix).item()
