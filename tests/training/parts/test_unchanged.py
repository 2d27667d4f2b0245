"""A change of a single bit is seen."""

import pytest
import torch
from transformers import TrainerCallback

from comem_hf.training import train_memory_encoder
from comem_hf.training.parts.unchanged import bits_of, changed_since


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_a_change_of_any_bit_is_seen(dtype):
    module = torch.nn.Module()
    numbers = torch.arange(45).reshape(5, 9).to(dtype)
    module.weight = torch.nn.Parameter(numbers.t(), requires_grad=False)  # not in order in memory
    before = bits_of(module)
    assert changed_since(before, module) == []
    for place in range(numbers.untyped_storage().nbytes()):
        storage = numbers.untyped_storage()
        storage[place] ^= 1
        assert changed_since(before, module) == ["weight"]
        storage[place] ^= 1
    assert changed_since(before, module) == []


def test_a_backbone_that_has_changed_in_training_is_not_saved(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    class Change(TrainerCallback):
        def on_train_end(self, args, state, control, model=None, **kwargs):
            model.backbone.model.language_model.norm.weight.data[3] += 1e-6

    with pytest.raises(RuntimeError, match=r"backbone has changed .* \(1 tensors, such as 'model.language_model.norm"):
        arguments = make_arguments(max_steps=1, save_strategy="no")
        train_memory_encoder(make_trainable(), tiny_processor, rows, arguments, callbacks=[Change()])
    assert not (tmp_path / "run" / "config.json").exists()
