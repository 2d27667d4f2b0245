"""Files written tensor by tensor are what the safetensors library and transformers read."""

import json

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from comem_hf.conversion.output.shard_writer import write_shards
from comem_hf.conversion.published.tensor_files import LazyTensor, read_weights


def lazy(tensors: dict[str, torch.Tensor]) -> dict[str, LazyTensor]:
    return {
        key: LazyTensor(key, tensor.shape, tensor.dtype, lambda tensor=tensor: tensor)
        for key, tensor in tensors.items()
    }


def tensors() -> dict[str, torch.Tensor]:
    return {
        "odd": torch.randn(3).bfloat16(),
        "wide": torch.randn(4, 5),
        "half": torch.randn(2, 3).half(),
        "scalar": torch.tensor(1.5),
        "transposed": torch.randn(4, 3).T,
        "empty": torch.zeros(0, 4),
    }


def test_one_file_is_read_by_safetensors_and_by_ourselves(tmp_path):
    expected = tensors()
    written = []
    write_shards(tmp_path, lazy(expected), on_written=written.append)
    ours = {key: tensor.load() for key, tensor in read_weights(tmp_path).items()}
    for read in (load_file(tmp_path / "model.safetensors"), ours):
        assert read.keys() == expected.keys()
        for key, tensor in expected.items():
            assert read[key].dtype == tensor.dtype
            assert torch.equal(read[key], tensor)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert sum(written) == sum(tensor.nbytes for tensor in expected.values())


def test_shards_hold_no_more_than_asked_for_and_have_an_index(tmp_path):
    expected = {str(number): torch.full((100,), float(number)) for number in range(10)} | {"big": torch.ones(1000)}
    write_shards(tmp_path, lazy(expected), max_bytes=1000)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 10 * 400 + 4000
    assert len(set(index["weight_map"].values())) == 6  # two tensors of 400 bytes each, and the big one alone
    read = {key: tensor.load() for key, tensor in read_weights(tmp_path).items()}
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[key], expected[key]) for key in expected)


def test_each_tensor_is_loaded_once(tmp_path):
    loaded = []
    counted = {
        key: LazyTensor(key, tensor.shape, tensor.dtype, lambda key=key, tensor=tensor: loaded.append(key) or tensor)
        for key, tensor in tensors().items()
    }
    write_shards(tmp_path, counted)
    assert sorted(loaded) == sorted(counted)
