"""A merged change is factored at its true rank, whatever the dtype it was rounded to."""

import pytest
import torch

from comem_hf.conversion.low_rank import factor_change


def merged_weight(rank: int, dtype: torch.dtype, scale: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = (0.02 * torch.randn(96, 64, generator=generator)).to(dtype)
    change = scale * torch.randn(96, rank, generator=generator) @ torch.randn(rank, 64, generator=generator)
    return (base.float() + change).to(dtype), base


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rank", [1, 4, 16])
def test_rank_is_found_below_the_rounding_noise(rank, dtype):
    merged, base = merged_weight(rank, dtype)
    change = factor_change(merged, base)
    assert change.rank == rank
    residual = (merged.double() - base.double()) - change.lora_b.double() @ change.lora_a.double()
    measured = residual.norm() / (merged.double() - base.double()).norm()
    assert measured.item() == pytest.approx(change.error, rel=1e-3, abs=1e-6)
    assert change.error < max(1e-6, change.noise)


def test_an_unchanged_layer_has_rank_zero():
    _, base = merged_weight(4, torch.float32)
    change = factor_change(base, base)
    assert (change.rank, change.error) == (0, 0.0)
    lora_a, lora_b = change.padded(4)
    assert lora_a.shape == (4, 64) and lora_b.shape == (96, 4)
    assert not lora_a.any() and not lora_b.any()


def test_padding_to_a_higher_rank_keeps_the_product():
    change = factor_change(*merged_weight(4, torch.float32))
    lora_a, lora_b = change.padded(7)
    torch.testing.assert_close(lora_b @ lora_a, change.lora_b @ change.lora_a)
