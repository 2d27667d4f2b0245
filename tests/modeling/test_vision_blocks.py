"""Blocks of a vision tower that memory can enter: the blocks that they were until it does."""

import copy
import threading

import pytest
import torch
from torch import nn

from comem_hf.modeling.vision_blocks_comem import VisionSites, compose_blocks, restore_blocks
from tests.modeling.vision_towers import GRID, VISION_SIZE, make_tower, pixels_of, run_tower


class Adapter(nn.Module):
    """A small addition that differs from block to block."""

    def __init__(self, number: int):
        super().__init__()
        self.inner = nn.Linear(VISION_SIZE, VISION_SIZE)
        self.number = number

    def forward(self, states):
        return self.inner(states) * (self.number + 1)


@pytest.fixture
def tower(family):
    return make_tower(family)


@pytest.fixture
def adapters():
    torch.manual_seed(3)
    return [Adapter(number) for number in range(2)]


def outputs(tower, **kwargs) -> list[torch.Tensor]:
    output = run_tower(tower, None, output_hidden_states=True, output_attentions=True, **kwargs)
    return [output.last_hidden_state, output.pooler_output, *output.hidden_states, *output.attentions]


@pytest.mark.parametrize("recorded_before", [False, True])
def test_composed_and_restored_blocks_give_what_they_gave_to_the_last_bit(family, recorded_before):
    tower, other = make_tower(family), make_tower(family)
    for each in (tower, other):
        each.set_attn_implementation("eager")  # which gives attention maps
    # A tower that has recorded hidden states has hooks on its blocks from then on.
    expected = outputs(tower if recorded_before else other)
    names, plain = list(tower.state_dict()), [type(block) for block in tower.blocks]
    parameters = [id(parameter) for parameter in tower.parameters()]

    compose_blocks(tower)
    assert [type(block) for block in tower.blocks] != plain
    assert list(tower.state_dict()) == names and [id(parameter) for parameter in tower.parameters()] == parameters
    composed = outputs(tower)
    compose_blocks(tower)  # does nothing more
    assert len(composed) == len(expected) == 2 + (len(plain) + 1) + len(plain)
    assert all(map(torch.equal, composed, expected))

    restore_blocks(tower)
    assert [type(block) for block in tower.blocks] == plain and list(tower.state_dict()) == names
    assert all(map(torch.equal, outputs(tower), expected))


def test_gradient_checkpointing_and_the_mode_of_blocks_go_along(tower):
    tower.train()
    tower.blocks[1].eval()
    enable = getattr(tower, "activation_checkpointing_enable", None) or tower.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    function = tower.blocks[0]._gradient_checkpointing_func
    for change in (compose_blocks, restore_blocks):
        change(tower)
        assert [block.training for block in tower.blocks] == [True, False]
        assert all(block.gradient_checkpointing for block in tower.blocks)
        assert all(block._gradient_checkpointing_func is function for block in tower.blocks)


def test_blocks_of_another_class_are_refused_before_any_changes(tower):
    class OtherBlock(nn.Module):
        pass

    tower.blocks.append(OtherBlock())
    with pytest.raises(ValueError, match=r"Qwen2VLVisionBlock or Qwen2_5_VLVisionBlock, got OtherBlock"):
        compose_blocks(tower)
    assert not hasattr(tower.blocks[0], "index")


@torch.no_grad()
def test_an_adapter_reads_what_the_feed_forward_layer_reads_and_adds_to_what_it_gives(tower, adapters):
    calls = []
    handles = [
        block.register_forward_pre_hook(lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
        for block in tower.blocks
    ]
    plain = run_tower(tower, None).last_hidden_state
    for handle in handles:
        handle.remove()
    states = calls[0][0][0]
    for block, adapter, (args, kwargs) in zip(tower.blocks, adapters, calls, strict=True):
        states = states + block.attn(block.norm1(states), *args[1:], **kwargs)
        read = block.norm2(states)
        states = states + block.mlp(read) + adapter(read)

    compose_blocks(tower)
    sites = VisionSites(adapters=adapters)
    adapted = tower(pixels_of(GRID), grid_thw=GRID, vision_sites=sites).last_hidden_state
    assert torch.equal(adapted, states)
    assert not torch.allclose(adapted, plain, atol=1e-2)


def test_adapters_that_add_nothing_change_nothing(tower):
    expected = run_tower(tower, None).pooler_output
    compose_blocks(tower)
    sites = VisionSites(adapters=[torch.zeros_like] * len(tower.blocks))
    assert torch.equal(tower(pixels_of(GRID), grid_thw=GRID, vision_sites=sites).pooler_output, expected)


def test_adapters_are_trained_through_checkpointed_blocks_as_without(tower, adapters):
    compose_blocks(tower)
    grads = []
    for checkpointed in (False, True):
        ours = copy.deepcopy(adapters)
        tower.train()
        if checkpointed:
            enable = getattr(tower, "activation_checkpointing_enable", None) or tower.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        output = tower(pixels_of(GRID), grid_thw=GRID, vision_sites=VisionSites(adapters=ours))
        output.pooler_output.square().mean().backward()
        grads.append([parameter.grad for adapter in ours for parameter in adapter.parameters()])
    assert all(grad.abs().max() > 0 for grad in grads[0])
    assert all(map(torch.equal, *grads))


@torch.no_grad()
def test_a_thread_with_adapters_does_not_disturb_one_without(tower, adapters):
    compose_blocks(tower)
    ways = ({}, {"vision_sites": VisionSites(adapters=adapters)})
    expected = [run_tower(tower, None, **way).pooler_output for way in ways]
    barrier, results = threading.Barrier(2), ([], [])

    def work(number: int):
        barrier.wait()
        with torch.no_grad():
            for _ in range(8):
                results[number].append(run_tower(tower, None, **ways[number]).pooler_output)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torch.equal(*expected)
    for result, value in zip(results, expected, strict=True):
        assert len(result) == 8 and all(torch.equal(tensor, value) for tensor in result)
