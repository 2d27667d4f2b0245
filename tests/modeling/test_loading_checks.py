"""Numbers that are not finite are refused, and large ones are not."""

import pytest
import torch

from comem_hf.modeling.loading_checks_comem import refuse_bad_numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bad", [[float("nan")], [float("inf")], [float("inf"), -float("inf")]])
def test_numbers_that_are_not_finite_are_refused(dtype, bad):
    tensor = torch.ones(100, dtype=dtype)
    tensor[7 : 7 + len(bad)] = torch.tensor(bad, dtype=dtype)
    with pytest.raises(ValueError, match="`b` in here holds values that are not finite"):
        refuse_bad_numbers("here", {"a": torch.ones(3, dtype=dtype), "b": tensor})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_large_numbers_whose_sum_is_not_finite_are_accepted(dtype):
    tensor = torch.full((100,), torch.finfo(dtype).max, dtype=dtype)
    assert not tensor.sum().isfinite()
    refuse_bad_numbers("here", {"a": tensor})
    refuse_bad_numbers("here", {"none": tensor[:0], "whole": torch.arange(3)})
