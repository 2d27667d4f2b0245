"""Memory in a vision tower: one vector per image, whatever is packed beside it, runs again or runs in parallel."""

import gc
import threading
import weakref

import pytest
import torch
import torch.nn.functional as F

from comem_hf.modeling.vision_blocks_comem import VisionSites, compose_blocks
from comem_hf.modeling.vision_memory_comem import CoMemVisionMemory
from tests.modeling.vision_towers import (
    GRID,
    SAMPLE_OF_IMAGE,
    TEXT_SIZE,
    VISION_SIZE,
    make_memory,
    make_tower,
    pixels_of,
    questions,
    run_tower,
)


LENGTHS = GRID.prod(-1)
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture
def tower(family):
    tower = make_tower(family)
    compose_blocks(tower)
    return tower


@pytest.fixture
def module():
    return make_memory()


def enable_checkpointing(tower):
    tower.train()
    enable = getattr(tower, "activation_checkpointing_enable", None) or tower.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def loss_of(tower, module, question=None):
    """A number that depends on the tower's output and on the last memory."""
    memory = module.begin(questions() if question is None else question, SAMPLE_OF_IMAGE, LENGTHS)
    features = run_tower(tower, memory).pooler_output
    return features.square().mean() + memory.finish().square().mean()


def gradients(tower, module) -> dict[str, torch.Tensor]:
    module.zero_grad()
    loss_of(tower, module).backward()
    return {name: parameter.grad for name, parameter in module.named_parameters()}


@torch.no_grad()
def test_each_image_gets_in_a_packed_batch_what_it_gets_alone(tower, module):
    pixels, question = pixels_of(GRID), questions()
    memory = module.begin(question, SAMPLE_OF_IMAGE, LENGTHS)
    packed = tower(pixels, grid_thw=GRID, vision_sites=VisionSites(memory=memory)).last_hidden_state
    vectors = memory.finish()
    plain = tower(pixels, grid_thw=GRID).last_hidden_state
    assert not torch.allclose(packed, plain, atol=1e-2)
    for image, (part, states) in enumerate(
        zip(pixels.split(LENGTHS.tolist()), packed.split(LENGTHS.tolist()), strict=True)
    ):
        sample = SAMPLE_OF_IMAGE[image]
        memory = module.begin(question[sample][None], torch.tensor([0]), LENGTHS[image : image + 1])
        alone = tower(part, grid_thw=GRID[image][None], vision_sites=VisionSites(memory=memory)).last_hidden_state
        torch.testing.assert_close(states, alone, **CLOSE)
        torch.testing.assert_close(vectors[image], memory.finish()[0], **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean_max", "mean_max_class"])
def test_a_step_is_that_of_the_equations(pooling):
    module, lengths = make_memory(pooling), [3, 1, 5]
    torch.manual_seed(5)
    x, c, q = torch.randn(9, VISION_SIZE), torch.randn(3, VISION_SIZE), torch.randn(3, TEXT_SIZE)
    ids = torch.arange(3).repeat_interleave(torch.tensor(lengths))
    tokens, vectors = module(x, c, module.text_projection(q), torch.tensor(lengths), ids)

    def linear(layer, states):
        return states @ layer.weight.T + layer.bias

    def norm(states):
        centered = states - states.mean(-1, keepdim=True)
        return centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    unit, gate, start = module.unit, module.gate, 0
    for image, length in enumerate(lengths):
        own = x[start : start + length]
        p = [own.mean(0), own.max(0).values, own[0]][: 2 if pooling == "mean_max" else 3]
        y, t = linear(module.pooling_projection, torch.cat(p)), linear(module.text_projection, q[image])
        r = torch.relu(linear(unit.reduce, torch.cat([norm(c[image]), y, t])))
        new = torch.tanh(linear(unit.candidate, r) + unit.candidate_offset.bias)
        write = torch.sigmoid(linear(unit.write, r) + unit.write_offset.bias)
        keep = torch.sigmoid(linear(unit.keep, r) + unit.keep_offset.bias)
        after = keep * c[image] + write * new
        h = norm(own + after)
        delta = torch.tanh(linear(gate.delta_out, F.gelu(linear(gate.delta_in, h))))
        torch.testing.assert_close(vectors[image], after, **CLOSE)
        expected = own + torch.sigmoid(linear(gate.alpha, h)) * delta
        torch.testing.assert_close(tokens[start : start + length], expected, **CLOSE)
        start += length


@torch.no_grad()
def test_the_question_decides_what_its_own_images_become_and_no_others(tower, module):
    changed = questions()
    changed[1] = -changed[1]
    results = []
    for question in (questions(), changed):
        memory = module.begin(question, SAMPLE_OF_IMAGE, LENGTHS)
        results.append((run_tower(tower, memory).last_hidden_state.split(LENGTHS.tolist()), memory.finish()))
    (before, first), (after, second) = results
    assert torch.equal(before[0], after[0]) and torch.equal(first[0], second[0])
    for image in (1, 2):
        assert not torch.allclose(before[image], after[image], atol=1e-3)
        assert not torch.allclose(first[image], second[image], atol=1e-3)


def test_the_start_is_the_tower_without_memory_and_can_learn(tower):
    torch.manual_seed(0)
    module = CoMemVisionMemory({"reduction_ratio": 4, "pooling": "mean_max"}, VISION_SIZE, TEXT_SIZE)
    module.start()
    memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS)
    assert torch.equal(run_tower(tower, memory).pooler_output, run_tower(tower, None).pooler_output)

    def reached() -> set[str]:
        module.zero_grad()
        memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS)
        run_tower(tower, memory).pooler_output.square().mean().backward()
        return {name for name, parameter in module.named_parameters() if parameter.grad.abs().max() > 0}

    assert reached() == {"gate.delta_out.weight", "gate.delta_out.bias"}
    torch.optim.SGD(module.parameters(), lr=1.0).step()
    assert reached() == {name for name, _ in module.named_parameters()}


def test_checkpointed_blocks_give_the_same_gradients(tower, module):
    expected = gradients(tower, module)
    calls = len(recorded_steps(tower, module))
    enable_checkpointing(tower)
    computed = gradients(tower, module)
    assert len(recorded_steps(tower, module)) == 2 * calls == 2 * len(tower.blocks)  # the blocks did run again
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(computed[name], gradient, rtol=1e-5, atol=1e-7)


def recorded_steps(tower, module) -> list:
    """The calls of the module in a forward and backward pass."""
    calls = []
    handle = module.register_forward_pre_hook(lambda _, args: calls.append(args))
    gradients(tower, module)
    handle.remove()
    return calls


def test_a_recomputed_block_starts_from_the_memory_that_it_started_from(tower, module):
    enable_checkpointing(tower)
    tokens, vectors = zip(*(args[:2] for args in recorded_steps(tower, module)), strict=True)
    blocks = len(tower.blocks)
    for first, again in zip(range(blocks), reversed(range(blocks, 2 * blocks)), strict=True):
        assert torch.equal(vectors[first], vectors[again]) and torch.equal(tokens[first], tokens[again])
    assert not torch.equal(vectors[0], vectors[1])


def test_a_forward_pass_without_a_backward_pass_leaves_nothing_behind(tower, module):
    enable_checkpointing(tower)
    memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS)
    features, last = run_tower(tower, memory).pooler_output, memory.finish()
    assert features.requires_grad and last.requires_grad
    alive = weakref.ref(memory)
    del memory, features, last
    gc.collect()
    assert alive() is None


def test_threads_with_different_questions_do_not_mix_them_up(tower, module):
    enable_checkpointing(tower)
    parameters = list(module.parameters())

    def make(seed: int) -> list[torch.Tensor]:
        loss = loss_of(tower, module, questions(seed))
        return [loss, *torch.autograd.grad(loss, parameters)]

    expected = [make(0), make(1)]
    barrier, results = threading.Barrier(2), ([], [])

    def work(seed: int):
        barrier.wait()
        for _ in range(6):
            results[seed].append(make(seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torch.equal(expected[0][0], expected[1][0])
    for result, value in zip(results, expected, strict=True):
        assert len(result) == 6
        for tensors in result:
            for tensor, reference in zip(tensors, value, strict=True):
                torch.testing.assert_close(tensor, reference, rtol=1e-5, atol=1e-7)


def test_hidden_states_are_recorded_with_memory(tower, module):
    memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS)
    output = run_tower(tower, memory, output_hidden_states=True)
    assert len(output.hidden_states) == len(tower.blocks) + 1
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    plain = run_tower(tower, None, output_hidden_states=True).hidden_states
    assert torch.equal(plain[0], output.hidden_states[0]) and not torch.equal(plain[1], output.hidden_states[1])


def test_a_tower_of_compiled_blocks_gives_the_same(tower, module):
    memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS)
    expected, last = run_tower(tower, memory).pooler_output, memory.finish()
    torch._dynamo.reset()
    for block in tower.blocks:
        block.compile(backend="eager")
    memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS)
    torch.testing.assert_close(run_tower(tower, memory).pooler_output, expected, **CLOSE)
    torch.testing.assert_close(memory.finish(), last, **CLOSE)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_the_steps_of_a_call_compile_to_one_graph_that_gives_the_same(module, backend):
    def steps(memory, tokens):
        for index in range(3):
            tokens = memory.after_block(index, torch.tanh(tokens))
        return tokens, memory.finish()

    tokens = torch.randn(int(LENGTHS.sum()), VISION_SIZE, requires_grad=True)
    results = []
    torch._dynamo.reset()
    for function in (steps, torch.compile(steps, backend=backend, fullgraph=True)):
        features, last = function(module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS), tokens)
        parameters = list(module.parameters())
        grads = torch.autograd.grad(features.square().mean() + last.square().mean(), [tokens, *parameters])
        results.append([features, last, *grads])
    for computed, expected in zip(*results, strict=True):
        torch.testing.assert_close(computed, expected, **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_tower_in_half_precision_keeps_its_precision(tower, dtype):
    tower, module = tower.to(torch.bfloat16), make_memory().to(dtype)
    memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS)
    output = run_tower(tower, memory).last_hidden_state
    assert output.dtype == torch.bfloat16 and memory.finish().dtype == dtype


def test_a_mean_over_many_tokens_in_half_precision_is_not_lost_in_rounding(module):
    tokens = torch.full((5000, VISION_SIZE), 1.01, dtype=torch.bfloat16)
    pooled = module.pool(tokens, torch.tensor([5000]), torch.zeros(5000, dtype=torch.long))
    torch.testing.assert_close(pooled[0, :VISION_SIZE], tokens[0].float(), rtol=1e-4, atol=0)


def test_images_without_a_length_and_lengths_of_other_images_are_refused(tower, module):
    with pytest.raises(ValueError, match=r"one entry per image, got shapes \(3,\) and \(2,\)"):
        module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS[:2])
    memory = module.begin(questions(), SAMPLE_OF_IMAGE, LENGTHS + 4)
    with pytest.raises(ValueError, match="must sum up to the 88 tokens of the vision tower, got 100"):
        run_tower(tower, memory)
