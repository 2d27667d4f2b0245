"""Batches that run out of memory."""

import pytest
import torch


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: not enough memory"
        ),
        MemoryError(),
    ],
    ids=["accelerator", "CPU allocator", "Python"],
)
def test_a_batch_that_runs_out_of_memory_is_halved(build, items, bank, model, monkeypatch, tmp_path, error):
    encode, sizes = model.encode_memory, []

    def encode_up_to_two(memory_inputs):
        sizes.append(len(memory_inputs["input_ids"]))
        if sizes[-1] > 2:
            raise error
        return encode(memory_inputs)

    monkeypatch.setattr(model, "encode_memory", encode_up_to_two)
    halved = build(items, output_dir=tmp_path / "bank", batch_size=5, shard_size=5)
    assert sizes == [5, 2, 2, 1, 2]
    torch.testing.assert_close(
        halved.memory_inputs([bank.ids])["memory_embeds"], bank.memory_inputs([bank.ids])["memory_embeds"]
    )


def test_a_single_item_that_does_not_fit_is_an_error(build, items, model, monkeypatch, tmp_path):
    def fail(memory_inputs):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(model, "encode_memory", fail)
    with pytest.raises(MemoryError, match="Out of memory with a batch of one item"):
        build(items, output_dir=tmp_path / "bank")
    assert not (tmp_path / "bank").exists()


def test_other_runtime_errors_are_not_taken_for_a_lack_of_memory(build, items, model, monkeypatch, tmp_path):
    def fail(memory_inputs):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(model, "encode_memory", fail)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        build(items, output_dir=tmp_path / "bank")
