"""Stored memory vectors: safetensors files."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from comem_hf import MemoryBank
from comem_hf.bank.format import vectors
from tests.bank.conftest import replace_file


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_only_so_many_shards_are_kept_mapped(copy, bank, monkeypatch):
    monkeypatch.setattr(vectors, "_KEPT_SHARDS", 1)
    opened = MemoryBank.from_pretrained(copy)
    memory = [opened.memory_inputs([[item_id]])["memory_embeds"] for item_id in (*bank.ids, *bank.ids)]
    assert torch.equal(torch.cat(memory[:7]), bank.memory_inputs([bank.ids])["memory_embeds"][0][:, None])
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(copy / "memory-") in line]
    assert len(mapped) == 1


@pytest.mark.parametrize(
    "tensor, message",
    [
        (torch.zeros(2, 8, 64), r"must hold memory \(float32 \[3, 8, 64\]\) .* got memory \(float32 \[2, 8, 64\]\)"),
        (torch.zeros(3, 8, 64).half(), r"must hold memory \(float32 \[3, 8, 64\]\) .* got memory \(float16 \[3"),
    ],
)
def test_vectors_of_another_shape_or_dtype_are_refused(copy, tensor, message):
    replace_file(copy, "memory-00000.safetensors", lambda path: safetensors.torch.save_file({"memory": tensor}, path))
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(copy).memory_inputs([["item-0"]])
