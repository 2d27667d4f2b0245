"""Memory in the feed-forward layers of the backbones: what the golden outputs of the authors' Llama do not show."""

import threading

import pytest
import torch
from accelerate import cpu_offload
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from comem_hf.modeling.cache_name_comem import CACHE_NAME
from comem_hf.modeling.ffn_memory_comem import (
    LAYER_CLASSES,
    CoMemFfnMemory,
    CoMemVisionAdapter,
    FfnMemory,
    compose_layers,
    restore_layers,
)
from comem_hf.modeling.site_configuration_comem import FFN_MEMORY_DEFAULTS
from tests.conftest import make_backbone


CONFIG = FFN_MEMORY_DEFAULTS | {"num_slots": 6, "projector_hidden": 8, "scale": 1.0, "value_scale": 1.0}
FEATURE_SIZE = 12
HIDDEN_SIZE = 64


@pytest.fixture
def text_model(family):
    return make_backbone(family).model.language_model.requires_grad_(False)


@pytest.fixture
def states() -> torch.Tensor:
    return torch.randn(2, 7, HIDDEN_SIZE, generator=torch.Generator().manual_seed(1))


def make_memory(**config) -> CoMemFfnMemory:
    torch.manual_seed(2)
    memory = CoMemFfnMemory(CONFIG | config, FEATURE_SIZE, HIDDEN_SIZE)
    torch.nn.init.normal_(memory.key_positions.weight, std=0.5)
    torch.nn.init.normal_(memory.value_positions.weight, std=0.5)
    return memory.eval()


def make_features(seed: int = 3, length: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of two rows, the second padded, and their mask."""
    features = torch.randn(2, length, FEATURE_SIZE, generator=torch.Generator().manual_seed(seed))
    return features, torch.arange(length) < torch.tensor([[length], [length - 1]])


@torch.no_grad()
def read(text_model, states, memory: FfnMemory | None = None) -> torch.Tensor:
    return text_model(inputs_embeds=states, ffn_memory=memory).last_hidden_state


# Layers


def test_composed_layers_without_memory_compute_the_same_bits_and_so_do_restored_ones(text_model, states):
    expected = text_model(inputs_embeds=states).last_hidden_state
    classes, parameters = [type(layer) for layer in text_model.layers], dict(text_model.named_parameters())
    text_model.layers[1].train()

    compose_layers(text_model)
    assert torch.equal(read(text_model, states), expected)
    assert [type(layer) for layer in text_model.layers] == [LAYER_CLASSES[cls] for cls in classes]
    assert [layer.training for layer in text_model.layers] == [False, True]
    now = dict(text_model.named_parameters())
    assert list(now) == list(parameters) and all(now[name] is tensor for name, tensor in parameters.items())

    composed = list(text_model.layers)
    compose_layers(text_model)
    assert all(one is other for one, other in zip(text_model.layers, composed, strict=True))

    restore_layers(text_model)
    assert torch.equal(read(text_model, states), expected)
    assert [type(layer) for layer in text_model.layers] == classes
    now = dict(text_model.named_parameters())
    assert list(now) == list(parameters) and all(now[name] is tensor for name, tensor in parameters.items())


def test_memory_adds_its_term_to_each_layer(text_model, states):
    memory = make_memory()(*make_features())
    compose_layers(text_model)
    seen = {}
    for number, layer in enumerate(text_model.layers):
        norm, mlp = layer.post_attention_layernorm, layer.mlp
        norm.register_forward_hook(
            lambda _, args, output, n=number: seen.update({(n, "h"): args[0], (n, "u"): output})
        )
        mlp.register_forward_hook(lambda _, args, output, n=number: seen.update({(n, "mlp"): output}))
        layer.register_forward_hook(lambda _, args, output, n=number: seen.update({(n, "out"): output}))
    changed = read(text_model, states, memory)
    assert not torch.allclose(changed, read(text_model, states), atol=0.1)
    read(text_model, states, memory)
    for number in range(len(text_model.layers)):
        u = seen[number, "u"]
        term = torch.nn.functional.silu(torch.einsum("bth,bsh->bts", u, memory.keys)) @ memory.values
        assert term.abs().max() > 0.1
        torch.testing.assert_close(seen[number, "out"], seen[number, "h"] + seen[number, "mlp"] + term)


def test_memory_goes_through_the_whole_backbone_with_its_cache(family):
    backbone = make_backbone(family)
    compose_layers(backbone.model.language_model)
    memory = make_memory()(*make_features())
    ids = torch.arange(14).view(2, 7)
    with torch.no_grad():
        expected = backbone(input_ids=ids, ffn_memory=memory).logits
        begun = backbone(input_ids=ids[:, :5], ffn_memory=memory, use_cache=True)
        continued = backbone(input_ids=ids[:, 5:], ffn_memory=memory, **{CACHE_NAME: begun[CACHE_NAME]}).logits
        forgotten = backbone(input_ids=ids, ffn_memory=None).logits
    torch.testing.assert_close(torch.cat([begun.logits, continued], dim=1), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(forgotten, expected, atol=0.01)


@pytest.mark.parametrize("asked_before", [True, False], ids=["asked before composing", "not asked before"])
def test_hidden_states_are_recorded_of_composed_and_of_restored_layers(text_model, states, asked_before):
    def recorded(memory=None):
        return text_model(inputs_embeds=states, output_hidden_states=True, ffn_memory=memory).hidden_states

    if asked_before:  # transformers prepares for that once
        expected = text_model(inputs_embeds=states, output_hidden_states=True).hidden_states
    else:
        expected = make_text_model_like(text_model)(inputs_embeds=states, output_hidden_states=True).hidden_states
    compose_layers(text_model)
    assert_equal(recorded(), expected)
    with_memory = recorded(make_memory()(*make_features()))
    assert len(with_memory) == len(expected) == len(text_model.layers) + 1
    assert torch.equal(with_memory[0], states) and not torch.allclose(with_memory[1], expected[1], atol=0.1)
    restore_layers(text_model)
    assert_equal(recorded(), expected)


def make_text_model_like(text_model):
    family = text_model.config.model_type.removesuffix("_text")
    return make_backbone(family).model.language_model


def assert_equal(ours, expected):
    assert len(ours) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(ours, expected, strict=True))


@pytest.mark.parametrize("how", ["layers", "offload"])
def test_layers_with_hooks_of_accelerate_keep_them(text_model, states, how):
    memory = make_memory()(*make_features())
    plain = make_text_model_like(text_model)
    compose_layers(plain)
    expected = {part: read(plain, states, part) for part in (None, memory)}
    if how == "layers":
        for layer in text_model.layers:
            add_hook_to_module(layer, AlignDevicesHook("cpu", io_same_device=True))
    else:
        cpu_offload(text_model, execution_device=torch.device("cpu"))
    hooks = {name: module._hf_hook for name, module in text_model.named_modules() if hasattr(module, "_hf_hook")}
    assert "layers.0" in hooks or how == "offload"

    compose_layers(text_model)
    assert torch.equal(read(text_model, states), expected[None])
    assert torch.equal(read(text_model, states, memory), expected[memory])
    restore_layers(text_model)
    assert torch.equal(read(text_model, states), expected[None])
    assert {n: m._hf_hook for n, m in text_model.named_modules() if hasattr(m, "_hf_hook")} == hooks


@pytest.mark.parametrize("lacking", [None, "input_layernorm", "self_attn", "post_attention_layernorm", "mlp"])
def test_layers_that_cannot_read_memory_are_refused_by_their_class_and_none_is_changed(text_model, lacking):
    if lacking is None:
        text_model.layers[1] = LlamaDecoderLayer(LlamaConfig(hidden_size=8, num_attention_heads=2), 1)
    else:
        delattr(text_model.layers[1], lacking)
    before = list(text_model.layers)
    with pytest.raises(ValueError, match=f"Memory needs a backbone with layers of .*, got {type(before[1]).__name__}"):
        compose_layers(text_model)
    assert all(one is other for one, other in zip(text_model.layers, before, strict=True))


@pytest.mark.parametrize("enabled", ["before", "after"])
def test_gradient_checkpointing_gives_the_same_gradients(text_model, states, enabled):
    memory = make_memory(dropout=0.3).train()
    # transformers renamed the method in version 5.
    enable = getattr(text_model, "activation_checkpointing_enable", None) or text_model.gradient_checkpointing_enable
    if enabled == "before":
        enable({"use_reentrant": False})
    compose_layers(text_model)
    text_model.train()
    calls = []
    text_model.layers[0].mlp.register_forward_hook(lambda *_: calls.append(1))

    def gradients() -> dict[str, torch.Tensor]:
        calls.clear()
        memory.zero_grad()
        torch.manual_seed(5)
        output = text_model(inputs_embeds=states, ffn_memory=memory(*make_features())).last_hidden_state
        output.pow(3).sum().backward()
        return {name: parameter.grad for name, parameter in memory.named_parameters()}

    if enabled == "after":
        enable({"use_reentrant": False})
    checkpointed = gradients()
    assert len(calls) == 2, "the backward pass should compute the layer again"
    for layer in text_model.layers:
        layer.gradient_checkpointing = False
    plain = gradients()
    assert len(calls) == 1
    for name, gradient in plain.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(checkpointed[name], gradient, msg=lambda text, name=name: f"{name}: {text}")


def test_compiled_layers_read_the_memory_of_each_call_in_one_graph(text_model, states):
    make = make_memory()
    memories = [FfnMemory(*(value.detach() for value in make(*make_features(seed))[:2]), 1.0, 0.1) for seed in (3, 4)]
    compose_layers(text_model)
    expected = [read(text_model, states, memory) for memory in memories]
    assert not torch.allclose(*expected, atol=0.1)
    graphs = []

    def compiler(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(text_model, backend=compiler, fullgraph=True)
    with torch.no_grad():
        for memory, output in zip(memories, expected, strict=True):
            ours = compiled(inputs_embeds=states, ffn_memory=memory, use_cache=False).last_hidden_state
            torch.testing.assert_close(ours, output)
    assert len(graphs) == 1


def test_two_threads_read_each_its_own_memory(text_model, states):
    compose_layers(text_model)
    memories = [make_memory()(*make_features(seed)) for seed in (3, 4)] + [None]
    expected = [read(text_model, states, memory) for memory in memories]
    barrier, right = threading.Barrier(len(memories)), []

    def answer(number: int):
        barrier.wait()
        for _ in range(10):
            right.append(torch.equal(read(text_model, states, memories[number]), expected[number]))

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(len(memories))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 30 and all(right)


# Memory


def test_new_memory_starts_as_in_the_paper():
    torch.manual_seed(0)
    memory = CoMemFfnMemory(CONFIG | {"num_slots": 100}, FEATURE_SIZE, HIDDEN_SIZE)
    for parameter in memory.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    memory.start()
    assert memory.key_positions.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert memory.key_positions.weight.mean().abs() < 0.001
    assert not memory.value_positions.weight.any()
    for projection in (memory.projector[0], memory.projector[2]):
        bound = (6 / sum(projection.weight.shape)) ** 0.5
        assert 0.9 * bound < projection.weight.abs().max() <= bound and not projection.bias.any()


def test_padded_features_count_for_nothing_and_none_at_all_leaves_the_learned_slots():
    memory = make_memory()
    with torch.no_grad():
        memory.projector[2].bias.fill_(1.0)
    features, mask = make_features(length=4)
    result = memory(features, mask)
    positions = (memory.key_positions.weight, memory.value_positions.weight)
    for tensor, learned in zip(result[:2], positions, strict=True):
        assert tensor.shape == (2, 6, HIDDEN_SIZE)
        assert torch.equal(tensor[0, 4:], learned[4:]) and torch.equal(tensor[1, 3:], learned[3:])
        assert not torch.isclose(tensor[1, :3], learned[:3]).any(dim=1).all()
    other = features.clone()
    other[1, 3] = 100.0
    assert all(torch.equal(one, two) for one, two in zip(memory(other, mask)[:2], result[:2], strict=True))
    nothing = memory(features[:, :0], mask[:, :0])
    assert all(torch.equal(one, two.expand(2, -1, -1)) for one, two in zip(nothing[:2], positions, strict=True))
    full = memory(*make_features(length=6))
    assert full.keys.shape == (2, 6, HIDDEN_SIZE)


def test_more_features_than_slots_are_refused_by_both_numbers():
    with pytest.raises(ValueError, match=r"7 vectors .*`ffn_memory_config\['num_slots'\]` is 6; "):
        make_memory()(*make_features(length=7))


def test_slots_are_dropped_in_training_only(text_model, states):
    memory = make_memory(dropout=0.5)(*make_features())
    compose_layers(text_model)
    plain = read(text_model, states, memory)
    assert torch.equal(read(text_model, states, memory), plain)
    text_model.train()
    assert torch.equal(read(text_model, states, make_memory(dropout=0.0)(*make_features())), plain)
    assert not torch.allclose(read(text_model, states, memory), plain, atol=0.01)
    assert not torch.allclose(read(text_model, states, memory), read(text_model, states, memory), atol=0.01)


def test_memory_in_full_precision_is_read_by_layers_in_half(text_model, states):
    memory = make_memory()(*make_features())
    compose_layers(text_model)
    expected = read(text_model, states, memory)
    text_model.bfloat16()
    half = states.bfloat16()
    output = read(text_model, half, memory)
    assert output.dtype == torch.bfloat16
    assert torch.equal(output, read(text_model, half, memory.to(half)))
    assert (output.float() - expected).norm() < 0.05 * expected.norm()
    features, mask = make_features()
    assert make_memory()(features.bfloat16(), mask).keys.dtype == torch.float32


# Adapter beside a vision block's feed-forward layer


def test_a_new_adapter_adds_nothing_and_can_learn():
    torch.manual_seed(0)
    adapter = CoMemVisionAdapter(CONFIG, 32)
    assert adapter.down.weight.shape == (CONFIG["vision_adapter_rank"], 32)
    assert adapter.down.bias is None and adapter.up.bias is None
    bound = 32**-0.5  # of a new `torch.nn.Linear`
    assert 0.9 * bound < adapter.down.weight.abs().max() <= bound
    added = adapter(torch.randn(5, 32))
    assert added.shape == (5, 32) and not added.any()
    (added - torch.ones(32)).pow(2).sum().backward()
    assert adapter.up.weight.grad.abs().max() > 0


def test_an_adapter_drops_in_training_only_and_scales():
    adapter = CoMemVisionAdapter(CONFIG | {"dropout": 0.5, "vision_adapter_scale": 0.1}, 32)
    torch.nn.init.normal_(adapter.up.weight)
    states = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(adapter(states), adapter(states))
    adapter.eval()
    assert torch.equal(adapter(states), adapter(states))
    double = CoMemVisionAdapter(CONFIG | {"vision_adapter_scale": 0.2}, 32).eval()
    double.load_state_dict(adapter.state_dict())
    torch.testing.assert_close(double(states), 2 * adapter(states))
