"""What was saved is looked at before a run counts as finished."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from comem_hf.training.processes.saving import check_is_whole, save_whole


@pytest.mark.parametrize("memory_only", [False, True])
def test_a_saved_model_that_is_not_whole_is_told(memory_only, make_trainable, tmp_path):
    model = make_trainable()
    save_whole(model, tmp_path, writes=True, memory_only=memory_only)
    path = tmp_path / "model.safetensors"
    whole = load_file(path)
    key = "memory_encoder.resampler.norm.weight"
    damaged = [
        ({}, "tensors are missing, such as"),
        ({name: tensor for name, tensor in whole.items() if name != key}, f"1 tensors are missing, such as `{key}`"),
        ({**whole, key: torch.full_like(whole[key], torch.nan)}, f"`{key}` .* holds values that are not finite"),
        ({**whole, key: whole[key][:0]}, rf"`{key}` has the shape \[0\], not \[64\]"),
    ]
    for tensors, told in damaged:
        save_file(tensors, path, metadata={"format": "pt"})
        with pytest.raises(RuntimeError, match=told):
            check_is_whole(model, tmp_path, memory_only=memory_only)


def test_only_the_process_that_writes_writes(make_trainable, tmp_path):
    save_whole(make_trainable(), tmp_path / "other", writes=False, memory_only=False)
    assert not (tmp_path / "other").exists()
