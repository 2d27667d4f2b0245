"""Layers add an adapter's change to their output, in one pass and wherever they can in place."""

import pytest
import torch
from torch import nn

from comem_hf.modeling.adapter_comem import CoMemAdapter, add_terms, changes


NAME = "language_model.layers.0.linear"
CONFIG = {"r": 3, "lora_alpha": 6, "lora_dropout": 0.0, "rank_pattern": {}, "alpha_pattern": {}}


def new_model(depth: int) -> nn.Module:
    model = nn.Module()
    model.language_model = nn.Module()
    model.language_model.layers = nn.ModuleList(nn.ModuleDict({"linear": nn.Linear(8, 5)}) for _ in range(depth))
    return model


def linear(model: nn.Module) -> nn.Module:
    return model.get_submodule(NAME)


@pytest.fixture
def model() -> nn.Module:
    """A text model of one linear layer, and an adapter on it that is not zero."""
    torch.manual_seed(0)
    model = new_model(depth=1)
    adapter = CoMemAdapter({NAME: linear(model)}, CONFIG)
    for factor in adapter.factors.values():
        nn.init.normal_(factor)
    add_terms(model, adapter)
    model.adapter = adapter
    return model.eval()


def expected(model: nn.Module, states: torch.Tensor) -> torch.Tensor:
    (_, change), *_ = changes(model)
    layer = linear(model).base_layer
    return nn.functional.linear(states, layer.weight + change, layer.bias)


@pytest.mark.parametrize("shape", [(8,), (4, 8), (2, 4, 8), (0, 8)])
def test_the_change_is_added_with_gradients_and_without(model, shape):
    states = torch.randn(shape)
    torch.testing.assert_close(linear(model)(states), expected(model, states))
    with torch.no_grad():
        torch.testing.assert_close(linear(model)(states), expected(model, states))
    with torch.inference_mode():
        torch.testing.assert_close(linear(model)(states), expected(model, states))


def test_a_second_term_that_is_subtracted_leaves_the_layer_alone(model):
    add_terms(model, model.adapter, sign=-1)
    states = torch.randn(4, 8)
    with torch.no_grad():
        torch.testing.assert_close(linear(model)(states), linear(model).base_layer(states))


def test_layers_that_the_model_lacks_are_left_out():
    deep, shallow = new_model(depth=2), new_model(depth=1)
    names = [NAME, NAME.replace("0", "1")]
    adapter = CoMemAdapter({name: deep.get_submodule(name) for name in names}, CONFIG)
    add_terms(shallow, adapter)
    assert [name for name, _ in changes(shallow)] == [NAME]


def test_gradients_are_those_of_the_formula(model):
    states = torch.randn(2, 4, 8, requires_grad=True)
    a, b = model.adapter.pair(NAME)
    given = (states, a, b)
    layer = linear(model).base_layer
    formula = layer(states) + states @ a.T @ b.T * 2
    theirs = torch.autograd.grad(formula.square().sum(), given)
    ours = torch.autograd.grad(linear(model)(states).square().sum(), given)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_reach_the_input_where_the_weights_are_frozen(model):
    model.requires_grad_(False)
    states = torch.randn(4, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(linear(model)(states).sum(), states)
    (_, change), *_ = changes(model)
    torch.testing.assert_close(gradient[0], (linear(model).base_layer.weight + change).sum(dim=0))


@pytest.mark.parametrize("grad", [False, True])
def test_mixed_precision_gives_the_layers_type(model, grad):
    linear(model).base_layer.bfloat16()
    states = torch.randn(4, 8).bfloat16()
    with torch.set_grad_enabled(grad):
        result = linear(model)(states)
    assert result.dtype == torch.bfloat16
    linear(model).base_layer.float()
    torch.testing.assert_close(result.float(), expected(model, states.float()), atol=0.1, rtol=0.05)


@pytest.mark.parametrize("grad", [False, True])
def test_autocast_gives_its_type(model, grad):
    states = torch.randn(4, 8)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16):
        result = linear(model)(states)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.float(), expected(model, states), atol=0.1, rtol=0.05)
