"""Whether the backbone is saved with a trained model."""

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from comem_hf.training.results.model_folder import is_memory_only


def test_the_backbone_is_left_out_where_everybody_can_load_it(make_trainable, tmp_path, monkeypatch):
    model = make_trainable()
    for name, revision, expected in (
        (None, None, False),
        ("me/backbone", "0123abc", True),
        ("me/backbone", None, False),  # which of its commits is not known
        (str(tmp_path), "0123abc", False),
    ):
        model.config.backbone_name_or_path, model.config.backbone_revision = name, revision
        assert is_memory_only(model) == expected
        assert is_memory_only(model, True) and not is_memory_only(model, False)
    monkeypatch.setattr("comem_hf.training.results.model_folder.is_quantized", lambda model: True)
    assert is_memory_only(model) and is_memory_only(model, True)
    with pytest.raises(ValueError, match="A quantized backbone cannot be saved; leave out `memory_only=False`"):
        is_memory_only(model, False)


def test_a_text_only_reader_must_be_there_for_everybody_too(make_trainable):
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    reader = Qwen2ForCausalLM(Qwen2Config(vocab_size=272, **sizes, **heads))
    model = make_trainable(reader=reader)
    model.config.backbone_name_or_path, model.config.backbone_revision = "me/backbone", "0123abc"
    assert not is_memory_only(model)
    model.config.reader_name_or_path, model.config.reader_revision = "me/reader", "0123abc"
    assert is_memory_only(model)
