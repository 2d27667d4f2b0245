"""A cheap look at many weights, which tells whether they were changed since the last look."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from .sharded_weights_comem import is_part


SAMPLES = 8  # numbers per tensor; training changes nearly all numbers, as does an adapter that is merged
ROUNDING = 2**-7  # of a number: more than bfloat16 or float16 round away
SMALLEST = torch.finfo(torch.float16).tiny


@dataclass(frozen=True)
class WeightsSample:
    """Where some tensors are in memory, how often they were written to, and a few of their numbers.

    Counts tell a change of a single number, but not one that is made behind autograd's back, as PEFT merges an adapter
    and some optimizers write; the numbers tell that one.

    Args:
        written (`tuple`): For each tensor its type, its address and its version.
        numbers (`torch.Tensor` of shape `(tensors * SAMPLES,)` or less): Numbers in float32.
    """

    written: tuple[tuple[torch.dtype, int, int], ...]
    numbers: torch.Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, tensors: Iterable[torch.Tensor]) -> "WeightsSample":
        """Look at all tensors that are in memory as wholes and hold floating-point numbers."""
        present = [
            value for value in tensors if value.is_floating_point() and not value.is_meta and not is_part(value)
        ]
        written = tuple(
            (value.dtype, value.data_ptr(), 0 if value.is_inference() else value._version) for value in present
        )
        is_one_type = len({dtype for dtype, *_ in written}) == 1
        numbers: dict[torch.device, list[torch.Tensor]] = {}
        for value in present:
            step = max(1, value.numel() // SAMPLES)
            few = value.reshape(-1)[: step * SAMPLES : step]
            numbers.setdefault(value.device, []).append(few if is_one_type else few.float())
        # One transfer from each device.
        parts = [torch.empty(0, device="cpu"), *(torch.cat(few).float().cpu() for few in numbers.values())]
        return cls(written, torch.cat(parts))

    def is_same(self, before: "WeightsSample") -> bool:
        """Whether nothing was written in between."""
        return self.written == before.written and self._is_near(before, exactly=True)

    def is_rounded_from(self, before: "WeightsSample") -> bool:
        """Whether nothing was written in between, but for a change of the floating-point type or of the device."""
        return self._versions == before._versions and self._is_near(before, exactly=self._types == before._types)

    def was_changed_unseen(self, before: "WeightsSample") -> bool:
        """Whether numbers have changed, by more than rounding, although autograd has seen no writing."""
        return self._versions == before._versions and not self._is_near(before, exactly=False)

    @property
    def _versions(self) -> list[int]:
        return [version for *_, version in self.written]

    @property
    def _types(self) -> list[torch.dtype]:
        return [dtype for dtype, *_ in self.written]

    def _is_near(self, before: "WeightsSample", exactly: bool) -> bool:
        if self.numbers.shape != before.numbers.shape:
            return False
        tolerance = {"rtol": 0, "atol": 0} if exactly else {"rtol": ROUNDING, "atol": SMALLEST}
        return torch.allclose(self.numbers, before.numbers, equal_nan=True, **tolerance)


__all__ = ["WeightsSample"]
