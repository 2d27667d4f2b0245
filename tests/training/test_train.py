"""Training runs of a few steps."""

import copy
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, LlamaConfig

from comem_hf.training import MemoryCollator, MemoryDataset, train_memory_encoder
from tests.training.conftest import Interrupt, assert_equal, needs_muon, state_of


READER = LlamaConfig(
    vocab_size=280,
    hidden_size=48,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_key_value_heads=2,
)


def test_training_changes_the_memory_encoder_and_no_bit_of_the_backbone(
    make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable()
    backbone = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    before = state_of(model)
    result = train_memory_encoder(model, tiny_processor, rows, make_arguments())
    assert result.global_step == 4
    assert_equal(model.backbone.state_dict(), backbone)
    unchanged = [name for name, tensor in state_of(model).items() if torch.equal(tensor, before[name])]
    assert unchanged == []


def test_training_lowers_the_loss(make_trainable, tiny_processor, rows, make_arguments):
    model = make_trainable()
    batch = MemoryCollator(tiny_processor)(rows)
    with torch.no_grad():
        before = model.eval()(**batch).loss
    args = make_arguments(max_steps=20, per_device_train_batch_size=4, save_strategy="no", warmup_steps=0)
    train_memory_encoder(model, tiny_processor, rows, args)
    with torch.no_grad():
        assert model(**batch).loss < before - 0.5


def test_saved_model_is_the_trained_one(make_trainable, tiny_processor, rows, make_arguments):
    model, args = make_trainable(), make_arguments()
    train_memory_encoder(model, tiny_processor, rows, args)
    loaded = AutoModelForImageTextToText.from_pretrained(args.output_dir)
    processor = AutoProcessor.from_pretrained(args.output_dir)
    batch = MemoryCollator(processor)(rows)
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, model(**batch).logits)
    log = json.loads(Path(args.output_dir, "trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        pytest.param(1, {}, id="before the first checkpoint"),
        pytest.param(3, {}, id="after it"),
        pytest.param(3, {"muon_learning_rate": 1e-2}, id="by Muon", marks=needs_muon),
    ],
)
def test_interrupted_run_ends_like_an_undisturbed_one(
    step, settings, make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    undisturbed = make_trainable()
    elsewhere = make_arguments(output_dir=str(tmp_path / "undisturbed"), **settings)
    train_memory_encoder(undisturbed, tiny_processor, rows, elsewhere)
    interrupted = make_trainable()
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(
            interrupted, tiny_processor, rows, make_arguments(**settings), callbacks=[Interrupt(step)]
        )
    resumed = make_trainable()
    train_memory_encoder(resumed, tiny_processor, rows, make_arguments(**settings))
    assert_equal(state_of(resumed), state_of(undisturbed))


def test_workers_read_the_same_batches(make_trainable, tiny_processor, data_file, make_arguments, tmp_path):
    states = []
    for workers in (0, 2):
        model = make_trainable()
        args = make_arguments(output_dir=str(tmp_path / str(workers)), dataloader_num_workers=workers)
        train_memory_encoder(model, tiny_processor, MemoryDataset.from_file(data_file), args)
        states.append(state_of(model))
    assert_equal(*states)


def test_a_text_only_reader_is_trained_through_and_its_projection_too(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    torch.manual_seed(1)
    language_model = AutoModelForCausalLM.from_config(READER)
    states = []
    for name, interruptions in (("undisturbed", ()), ("interrupted", (3,))):
        args = make_arguments(output_dir=str(tmp_path / name))
        for step in interruptions:
            with pytest.raises(KeyboardInterrupt):
                interrupted = make_trainable(reader=copy.deepcopy(language_model))
                train_memory_encoder(interrupted, tiny_processor, rows, args, callbacks=[Interrupt(step)])
        model = make_trainable(reader=copy.deepcopy(language_model))
        before = state_of(model)
        train_memory_encoder(model, tiny_processor, rows, args)
        states.append(state_of(model))
    assert "reader.projection.weight" in states[0]
    assert [name for name, tensor in states[0].items() if torch.equal(tensor, before[name])] == []
    assert_equal(states[0], states[1])
    weights = model.reader.language_model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in language_model.state_dict().items())
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "interrupted")
    assert torch.equal(loaded.reader.projection.weight, states[1]["reader.projection.weight"])


def test_what_a_text_only_reader_cannot_be_trained_with_is_refused(
    make_trainable, tiny_processor, rows, make_arguments
):
    model = make_trainable(reader=AutoModelForCausalLM.from_config(READER))
    with pytest.raises(ValueError, match="`distillation_weight` cannot be combined with a text-only reader"):
        train_memory_encoder(model, tiny_processor, rows, make_arguments(distillation_weight=0.5))
    model.reader.language_model.lm_head.requires_grad_(True)
    with pytest.raises(
        ValueError, match="text-only reader must be frozen, .* such as 'lm_head.weight'; call `model.rea"
    ):
        train_memory_encoder(model, tiny_processor, rows, make_arguments())
