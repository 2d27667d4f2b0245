"""Memory vectors in fewer bits: how many bytes they take, and how near they stay."""

import pytest
import torch
from safetensors.torch import load_file

from comem_hf import MemoryBank
from comem_hf.bank.format.precision import MEMORY_DTYPES, bytes_per_item, pack, unpack


LARGEST_ERROR = {"float32": 0, "bfloat16": 2**-8, "float16": 2**-11, "int8": 0.75 / 127, "int4": 0.55 / 7}
"""Of a number, relative to the largest that shares its scale; a scale rounded to bfloat16 costs a little of it."""


@pytest.fixture(scope="module")
def vectors() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 8, 576, generator=generator) * torch.rand(50, 8, 1, generator=generator) * 0.05


@pytest.mark.parametrize("dtype", MEMORY_DTYPES)
def test_vectors_come_back_as_near_as_their_dtype_allows(vectors, dtype):
    back = unpack(pack(vectors, dtype), dtype)
    assert back.shape == vectors.shape
    group = 32 if dtype == "int4" else 576
    error = (back.float() - vectors).abs().unflatten(-1, (-1, group)).amax(-1)
    assert (error <= LARGEST_ERROR[dtype] * vectors.abs().unflatten(-1, (-1, group)).amax(-1)).all()


@pytest.mark.parametrize("dtype", MEMORY_DTYPES)
def test_bytes_per_item_are_those_of_the_tensors(vectors, dtype):
    size = sum(tensor.nbytes for tensor in pack(vectors, dtype).values())
    assert size == len(vectors) * bytes_per_item(dtype, 8, 576)


def test_int8_takes_a_quarter_and_int4_a_seventh():
    whole = bytes_per_item("float32", 8, 576)
    assert whole / bytes_per_item("int8", 8, 576) > 3.9
    assert whole / bytes_per_item("int4", 8, 576) > 7


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_zeros_and_extremes_come_back_exactly(dtype):
    vectors = torch.zeros(1, 2, 64)
    vectors[0, 1, :2] = torch.tensor([1.0, -1.0])
    back = unpack(pack(vectors, dtype), dtype)
    assert torch.equal(back[0, 0], vectors[0, 0])
    torch.testing.assert_close(back, vectors, rtol=2**-8, atol=0)


@pytest.mark.parametrize("dtype", MEMORY_DTYPES)
def test_not_a_number_stays_one(dtype):
    vectors = torch.ones(1, 1, 64)
    vectors[0, 0, 3] = float("nan")
    assert not torch.isfinite(unpack(pack(vectors, dtype), dtype)).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8", "int4"])
def test_a_bank_of_any_dtype_gives_what_a_whole_one_would_after_packing(build, bank, items, model, tmp_path, dtype):
    small = build(items, output_dir=tmp_path / dtype, dtype=dtype)
    ids = [item.id for item in items]
    whole = bank.memory_inputs([ids])["memory_embeds"]
    expected = unpack(pack(whole, dtype), dtype)
    found = small.memory_inputs([ids])["memory_embeds"]
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    again = MemoryBank.from_pretrained(tmp_path / dtype)
    assert torch.equal(again.memory_inputs([ids[::-1]], dtype=torch.float32)["memory_embeds"], found.float().flip(1))
    stored = load_file(tmp_path / dtype / "memory-00000.safetensors")
    assert sum(tensor.nbytes for tensor in stored.values()) == 3 * bytes_per_item(dtype, 8, 64)


def test_int4_needs_vectors_that_its_groups_divide(build, items, tmp_path, monkeypatch, model):
    monkeypatch.setattr(model.config.get_text_config(), "hidden_size", 48)
    with pytest.raises(ValueError, match="'int4' needs vectors of a multiple of 32 numbers, not of 48"):
        build(items, output_dir=tmp_path / "bank", dtype="int4")
