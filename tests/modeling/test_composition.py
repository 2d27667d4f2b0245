"""Layers that take the place of others keep their parts, their hooks and where they are placed."""

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from torch import nn

from comem_hf.modeling.composition_comem import with_same_children


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, states):
        return self.inner(states)


class Composed(Plain):
    def forward(self, states):
        return super().forward(states) + 1


def test_the_parts_are_the_same_and_go_back_to_the_class_that_they_came_from():
    old, states = Plain().eval(), torch.randn(2, 4)
    expected, inner = old(states), old.inner
    old.inner.train()
    composed = with_same_children(Composed, old)
    assert composed.inner is inner and list(composed.state_dict()) == ["inner.weight", "inner.bias"]
    assert not composed.training and composed.inner.training
    assert torch.equal(composed(states), expected + 1)
    restored = with_same_children(Plain, composed)
    assert type(restored) is Plain and torch.equal(restored(states), expected)


def test_hooks_go_along_and_can_still_be_taken_off():
    old, calls = Plain(), []
    handle = old.register_forward_hook(lambda *_: calls.append("called"))
    composed = with_same_children(Composed, old)
    composed(torch.zeros(1, 4))
    handle.remove()
    composed(torch.zeros(1, 4))
    assert calls == ["called"]


def test_accelerates_hook_goes_along_there_and_back():
    class Counting(AlignDevicesHook):
        calls = 0

        def pre_forward(self, module, *args, **kwargs):
            type(self).calls += 1
            return super().pre_forward(module, *args, **kwargs)

    old, states = Plain(), torch.randn(2, 4)
    expected = old(states)
    hook = Counting(execution_device="cpu", io_same_device=True)
    add_hook_to_module(old, hook)
    composed = with_same_children(Composed, old)
    assert composed._hf_hook is hook and torch.equal(composed(states), expected + 1) and hook.calls == 1
    restored = with_same_children(Plain, composed)
    assert restored._hf_hook is hook and torch.equal(restored(states), expected) and hook.calls == 2


def test_a_compiled_layer_is_refused():
    layer = Plain()
    layer.compile(backend="eager")
    with pytest.raises(ValueError, match="compiled cannot change; compile the model after this"):
        with_same_children(Composed, layer)
