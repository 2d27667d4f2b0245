"""A merged change is factored at its true rank, whatever the dtypes it was rounded to."""

import pytest
import torch

from comem_hf.conversion.weights import low_rank
from comem_hf.conversion.weights.low_rank import factor_change


DTYPES = [torch.float32, torch.bfloat16, torch.float16]
LARGE = (600, 700)  # beyond the sizes that are decomposed in full


def weights(
    rank: int,
    merged: torch.dtype,
    base: torch.dtype | None = None,
    shape: tuple[int, int] = (96, 64),
    scale: float = 0.05,
    exact_base: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Merged weight, base and true change, which was added to an exact base, or to one that was rounded later."""
    generator = torch.Generator().manual_seed(0)
    base = merged if base is None else base
    original = 0.02 * torch.randn(shape, generator=generator)
    if exact_base:
        original = original.to(base).float()
    change = torch.randn(shape[0], rank, generator=generator) @ torch.randn(rank, shape[1], generator=generator)
    return (original + scale * change).to(merged), original.to(base), scale * change


def distance(factored, true: torch.Tensor) -> float:
    return ((factored.lora_b @ factored.lora_a - true).norm() / true.norm()).item()


@pytest.mark.parametrize("shape", [(96, 64), LARGE])
@pytest.mark.parametrize("base", DTYPES)
@pytest.mark.parametrize("merged", DTYPES)
@pytest.mark.parametrize("exact_base", [True, False])
@pytest.mark.parametrize("rank", [1, 4, 16])
def test_rank_is_found_below_the_rounding_noise(rank, exact_base, merged, base, shape):
    ours, its, true = weights(rank, merged, base, shape, scale=0.005, exact_base=exact_base)
    change = factor_change(ours, its)
    assert change.rank == rank
    assert change.error < max(1e-6, change.noise)
    assert distance(change, true) <= max(1e-6, change.noise)


@pytest.mark.parametrize("shape", [(96, 64), LARGE])
def test_the_error_is_the_measured_residual(shape):
    merged, base, _ = weights(4, torch.bfloat16, shape=shape)
    change = factor_change(merged, base)
    residual = (merged.double() - base.double()) - change.lora_b.double() @ change.lora_a.double()
    measured = residual.norm() / (merged.double() - base.double()).norm()
    assert change.error == pytest.approx(measured.item(), rel=1e-4)


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
def test_a_dtype_that_the_values_do_not_fill_does_not_hide_their_rounding(stored):
    merged, base, _ = weights(4, torch.bfloat16)
    assert factor_change(merged.float(), base.to(stored)).rank == 4


def test_a_small_change_between_float32_weights_is_found_although_the_base_is_bfloat16():
    # Rounding of the base would drown it, but an adapter merged in float32 leaves the base as it is.
    merged, base, true = weights(4, torch.float32, torch.bfloat16, scale=1e-6)
    change = factor_change(merged, base)
    assert change.rank == 4
    assert distance(change, true) < 1e-2


def test_subnormal_numbers_of_float16_do_not_count_as_rank():
    # Weights of about 5e-6 where float16 has a spacing of 6e-8: far more than its precision times the weight.
    merged, base, _ = weights(4, torch.float32, scale=5e-4)
    merged, base = ((tensor * 2**-12).half() for tensor in (merged, base))
    spacing = torch.finfo(torch.float16).smallest_normal * torch.finfo(torch.float16).eps
    assert base.abs().max() < 2**-14 and torch.equal((base.double() / spacing).round() * spacing, base.double())
    change = factor_change(merged, base)
    assert change.rank == 4
    assert change.error < change.noise


def test_rows_of_outliers_do_not_turn_rounding_into_rank():
    generator = torch.Generator().manual_seed(0)
    base = 0.02 * torch.randn(256, 256, generator=generator)
    base[::64] *= 30
    base[:, ::50] *= 30
    base = base.bfloat16()
    change = 0.01 * torch.randn(256, 4, generator=generator) @ torch.randn(4, 256, generator=generator)
    assert factor_change((base.float() + change).bfloat16(), base).rank <= 4


def test_the_sketch_grows_until_it_holds_the_rank(monkeypatch):
    sizes = []
    sketch = low_rank._sketch
    monkeypatch.setattr(low_rank, "_sketch", lambda change, size: sizes.append(size) or sketch(change, size))
    assert factor_change(*weights(70, torch.bfloat16, shape=(600, 700))[:2]).rank == 70
    assert sizes == [48, 96]


def test_a_change_of_full_rank_is_told_after_every_sketch_failed():
    merged, base, _ = weights(4, torch.float32, shape=LARGE)
    change = factor_change(merged + 0.001 * torch.randn(LARGE), base)
    assert not change.is_low_rank


@pytest.mark.parametrize("shape", [(96, 64), LARGE])
def test_a_given_rank_is_kept_and_its_error_told(shape):
    merged, base, true = weights(4, torch.float32, shape=shape)
    change = factor_change(merged, base, rank=2)
    assert change.rank == 2
    best = torch.linalg.svdvals(true)
    assert change.error == pytest.approx((best[2:].norm() / best.norm()).item(), rel=1e-3)
    assert factor_change(merged, base, rank=6).error < 1e-6


def test_an_unchanged_layer_has_rank_zero():
    _, base, _ = weights(4, torch.float32)
    change = factor_change(base, base)
    assert (change.rank, change.error) == (0, 0.0)
    lora_a, lora_b = change.padded(4)
    assert lora_a.shape == (4, 64) and lora_b.shape == (96, 4)
    assert not lora_a.any() and not lora_b.any()


def test_padding_to_a_higher_rank_keeps_the_product():
    change = factor_change(*weights(4, torch.float32)[:2])
    lora_a, lora_b = change.padded(7)
    torch.testing.assert_close(lora_b @ lora_a, change.lora_b @ change.lora_a)
