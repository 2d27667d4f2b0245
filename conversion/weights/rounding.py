"""The effect of rounding weights to a few bits on the difference of two of them."""

from dataclasses import dataclass

import torch


ELEMENTS_AT_ONCE = 1 << 17  # few enough to stay in the processor's cache
PRECISIONS = (torch.bfloat16, torch.float16, torch.float32)


@dataclass
class RoundingNoise:
    """The noise that rounding leaves in a matrix, each entry uniform within half a unit of its last place.

    Args:
        norm (`float`): Expected Frobenius norm.
        largest_norm (`float`): Frobenius norm if every entry is off by the full half unit.
        largest_value (`float`): Bound of the singular values: with independent entries of variance `v_ij`,
            `max_i sqrt(sum_j v_ij) + max_j sqrt(sum_i v_ij)` (Bandeira and van Handel 2016), which for equal
            variances is the edge `s * (sqrt(rows) + sqrt(columns))` of the Marchenko-Pastur law. The squares of the
            whole difference are the variances if that bound is lower: a change below the last place mostly disappears.
    """

    norm: float
    largest_norm: float
    largest_value: float


def rounding_noises(merged: torch.Tensor, base: torch.Tensor) -> list[RoundingNoise]:
    """Return the rounding noises that `merged - base` may contain, the smaller possibility first.

    The dtype that counts is the coarsest one that represents the values, not the one they are stored in. If `base` is
    coarser than `merged`, there are two possibilities: the change was added to exactly this `base`, and only `merged`
    was rounded; or `base` was rounded afterwards, which counts as noise, too.

    Args:
        merged (`torch.Tensor` of shape `(out, in)`), base (`torch.Tensor` of shape `(out, in)`): The two weights.
    """
    ours, its = _precision(merged), _precision(base)
    both = _noise(merged, base, (ours, its))
    if torch.finfo(its).eps <= torch.finfo(ours).eps:
        return [both]
    return [_noise(merged, base, (ours, None)), both]


def _precision(weight: torch.Tensor) -> torch.dtype:
    for dtype in PRECISIONS:
        if weight.dtype == dtype or torch.equal(weight.to(dtype).to(weight.dtype), weight):
            return dtype
    return torch.float32  # float64, which is rounded to float32 first


def _noise(merged: torch.Tensor, base: torch.Tensor, dtypes: tuple[torch.dtype, torch.dtype | None]) -> RoundingNoise:
    noise, whole = _Sums(merged.shape[1]), _Sums(merged.shape[1])
    rows_at_once = max(1, ELEMENTS_AT_ONCE // merged.shape[1])
    for ours, its in zip(merged.split(rows_at_once), base.split(rows_at_once), strict=True):
        ours, its = ours.float(), its.float()
        # The change itself was rounded, too, before it was added.
        change = ours - its
        squares = _unit(ours, dtypes[0]).square_().add_(_unit(change, dtypes[0]).square_())
        if dtypes[1] is not None:
            squares.add_(_unit(its, dtypes[1]).square_())
        noise.add(squares)
        whole.add(change.square_())
    return RoundingNoise(
        norm=(noise.total / 12) ** 0.5,
        largest_norm=(noise.total / 4) ** 0.5,
        largest_value=min(noise.largest_value / 12**0.5, whole.largest_value),
    )


class _Sums:
    """Sums of squares over the rows and the columns of a matrix that comes in blocks of rows."""

    def __init__(self, columns: int):
        self.total = 0.0
        self.largest_row = 0.0
        self.columns = torch.zeros(columns, dtype=torch.float64)

    def add(self, squares: torch.Tensor):
        rows = squares.sum(1)
        self.total += rows.sum().item()
        self.largest_row = max(self.largest_row, rows.max().item())
        self.columns += squares.sum(0)

    @property
    def largest_value(self) -> float:
        return self.largest_row**0.5 + self.columns.max().item() ** 0.5


def _unit(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the unit in the last place of each value in `dtype`; below the normal numbers it is constant."""
    power_of_two = (values.view(torch.int32) & 0x7F800000).view(torch.float32)
    info = torch.finfo(dtype)
    return power_of_two.clamp_(min=info.smallest_normal).mul_(info.eps)
