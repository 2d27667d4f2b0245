"""The backbone stays as it is, bit by bit."""

import pytest
from transformers import TrainerCallback

from comem_hf.modeling.fingerprint_comem import backbone_checksum
from comem_hf.training import train_memory_encoder


def test_backbone_that_is_not_frozen_is_refused(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    model = make_trainable()
    model.backbone.lm_head.weight.requires_grad_(True)
    with pytest.raises(
        ValueError, match="must be frozen, but 1 of its parameters are trainable, such as 'lm_head.weight'"
    ):
        train_memory_encoder(model, tiny_processor, rows, make_arguments())
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        train_memory_encoder(model, tiny_processor, rows, make_arguments())
    assert not (tmp_path / "run").exists()


def test_a_reader_adapter_may_be_trained_alone_but_is_no_teacher_of_itself(
    make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable()
    model.requires_grad_(False)
    model.add_reader_adapter(r=2)
    with pytest.raises(ValueError, match="`distillation_weight` cannot be combined with training the reader"):
        train_memory_encoder(model, tiny_processor, rows, make_arguments(distillation_weight=1.0))
    train_memory_encoder(model, tiny_processor, rows, make_arguments())
    assert all(parameter.any() for parameter in model.reader_adapter.factors.parameters())


def test_backbone_that_changes_in_training_is_an_error(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    class Meddle(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            model.backbone.lm_head.weight.data[0, 0] += 1

    with pytest.raises(RuntimeError, match="backbone has changed"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(), callbacks=[Meddle()])
    assert not (tmp_path / "run" / "config.json").exists()


def test_checksum_sees_a_single_changed_weight(make_trainable):
    model = make_trainable()
    before = backbone_checksum(model.backbone, exact=True)
    assert backbone_checksum(make_trainable().backbone, exact=True) == before
    model.backbone.model.language_model.norm.weight.data[3] += 1e-3
    assert backbone_checksum(model.backbone, exact=True) != before
