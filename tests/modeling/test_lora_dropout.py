"""Dropout before a factor: its rate, and gradients against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from comem_hf.modeling.lora_dropout_comem import draw_mask, drop_and_reduce


def test_numbers_are_dropped_at_the_rate_and_independently():
    torch.manual_seed(0)
    for rate in (0.05, 0.5, 0.9):
        scale, mask = draw_mask(torch.empty(1001, 999), rate)
        assert mask.shape == (1001, 999)
        assert scale * mask.double().mean().item() == pytest.approx(1, abs=5e-3)
        for lane in range(4):  # of a random word
            assert mask.flatten()[lane::4].double().mean().item() == pytest.approx(1 - rate, abs=3e-3)
        for shift in (1, 4, 999):  # neighbours know nothing of each other
            both = (mask.flatten()[shift:] & mask.flatten()[:-shift]).double().mean().item()
            assert both == pytest.approx((1 - rate) ** 2, abs=3e-3)


@pytest.mark.parametrize(("of_states", "of_a"), [("float32", "float32"), ("bfloat16", "float32")])
@pytest.mark.parametrize("autocast", [False, True])
def test_result_and_gradients_are_those_of_dropout_and_a_linear_layer(of_states, of_a, autocast):
    torch.manual_seed(0)
    states = torch.randn(2, 5, 12).to(getattr(torch, of_states)).requires_grad_()
    a = torch.randn(3, 12, dtype=getattr(torch, of_a), requires_grad=True)
    found = []
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        torch.manual_seed(1)
        scale, mask = draw_mask(states, 0.4)
        expected = F.linear((states * mask).to(a.dtype), a) * scale
        torch.manual_seed(1)
        given = drop_and_reduce(states, a, 0.4)
    assert given.dtype == expected.dtype
    torch.testing.assert_close(given, expected)
    for result in (expected, given):
        found.append(torch.autograd.grad(result.float().square().sum(), (states, a)))
    tolerance = {"atol": 0.1, "rtol": 0.05} if autocast or of_states == "bfloat16" else {}
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, **tolerance)
