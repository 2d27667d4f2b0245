"""Muon and AdamW behind one optimizer."""

import pytest
import torch

from comem_hf.training import MemoryEncoderTrainer
from comem_hf.training.optimizer import MuonWithAdamW
from comem_hf.training.parts.freezing import trainable_parameters
from tests.training.conftest import needs_muon


@needs_muon
@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_muon_has_the_matrices_of_the_resamplers_layers_and_adamw_the_rest(encoder, make_trainable, make_arguments):
    model = make_trainable(encoder=encoder)
    model.freeze_backbone()
    names = {id(parameter): name for name, parameter in trainable_parameters(model).items()}
    trainer = MemoryEncoderTrainer(model, make_arguments(learning_rate=1e-3, muon_learning_rate=1e-2))
    muon, adamw = trainer.create_optimizer().param_groups
    by_muon = {names.pop(id(parameter)) for parameter in muon["params"]}
    assert {name.rsplit(".", 2)[1] for name in by_muon} == {
        *("to_query", "to_key", "to_value", "to_output", "widen", "narrow")
    }
    assert all(name.startswith("memory_encoder.resampler.layers.") for name in by_muon)
    assert {id(parameter) for parameter in adamw["params"]} == names.keys()
    assert (muon["lr"], muon["weight_decay"], adamw["lr"], adamw["weight_decay"]) == (1e-2, 0.1, 1e-3, 0.0)


def test_a_model_without_layers_is_refused():
    with pytest.raises(ValueError, match="got 0 and 2; use AdamW alone"):
        MuonWithAdamW(torch.nn.Linear(2, 2), inside=["layers."], lr=1e-3, muon_lr=1e-2)


def test_a_rate_that_is_none_is_refused(make_arguments):
    with pytest.raises(ValueError, match="`muon_learning_rate` must be positive or None, got 0"):
        make_arguments(muon_learning_rate=0.0)
