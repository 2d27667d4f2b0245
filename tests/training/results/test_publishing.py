"""Pushes while a model is trained."""

import logging
from pathlib import Path

import pytest

from comem_hf import CoMemForConditionalGeneration
from comem_hf.training import MemoryEncoderTrainer, train_memory_encoder


def test_a_model_is_pushed_at_each_save_and_a_failure_does_not_end_the_run(
    make_trainable, tiny_processor, rows, make_arguments, monkeypatch, caplog
):
    monkeypatch.setattr(MemoryEncoderTrainer, "init_hf_repo", lambda self: setattr(self, "hub_model_id", "me/model"))
    pushed, states = [], []

    def publish(folder: Path, repo_id: str, message: str) -> None:
        pushed.append((repo_id, message))
        states.append(CoMemForConditionalGeneration.from_pretrained(folder).memory_fingerprint())
        if len(pushed) == 2:
            raise OSError("no connection")

    monkeypatch.setattr("comem_hf.training.results.publishing.logger", logging.getLogger("pushes"))
    model, args = make_trainable(), make_arguments(push_to_hub=True, save_steps=1, max_steps=3)
    train_memory_encoder(model, tiny_processor, rows, args, publish=publish)
    lines = [f"Training in progress, checkpoint-{step}" for step in (1, 2, 3)]
    assert pushed == [("me/model", line) for line in [*lines, "End of training"]]
    assert len(set(states)) == 3 and states[2] == states[3] == model.memory_fingerprint()
    [warning] = [record.message for record in caplog.records if record.name == "pushes"]
    assert warning.endswith("checkpoint-2 was not pushed, and the training goes on: no connection")

    pushed.clear()
    args = make_arguments(push_to_hub=True, hub_strategy="end", output_dir=f"{args.output_dir}-2", max_steps=1)
    train_memory_encoder(make_trainable(), tiny_processor, rows, args, publish=publish)
    assert pushed == [("me/model", "End of training")]


def test_a_push_that_could_not_be_loaded_is_refused_before_the_training(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    model, args = make_trainable(), make_arguments(push_to_hub=True)
    with pytest.raises(ValueError, match="`push_to_hub` needs `publish`"):
        train_memory_encoder(model, tiny_processor, rows, args)
    with pytest.raises(ValueError, match="`push_to_hub` needs a `publisher`; `train_memory_encoder"):
        MemoryEncoderTrainer(model, args, train_dataset=rows)
    with pytest.raises(ValueError, match="published with the Hub id of its backbone, but the backbone is None"):
        train_memory_encoder(model, tiny_processor, rows, args, memory_only=True, publish=print)
    assert not (tmp_path / "run").exists()
