"""Two processes share an evaluation, and both stop at a loss that is no number."""

from pathlib import Path

import pytest
import torch

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import MemoryCollator, MemoryEncoderTrainer, MemoryTrainingArguments
from tests.processes.together import run_together
from tests.training.conftest import picture


class Spoiled(MemoryCollator):
    """Makes batches of which one has a loss that is no number."""

    def __call__(self, rows):
        batch = super().__call__(rows)
        if any(row["answer"] == "spoiled" for row in rows):
            batch["pixel_values"] = batch["pixel_values"] * torch.inf
            batch["names"] = ["the spoiled row"]
        return batch


def evaluate_and_train(folder: Path, rows: list[dict], settings: dict) -> dict:
    """Returns the metrics of an evaluation, and the error of a training; run in each process."""
    model, processor = (kind.from_pretrained(folder) for kind in (CoMemForConditionalGeneration, CoMemProcessor))
    args, data = MemoryTrainingArguments(**settings), {"train_dataset": rows, "eval_dataset": rows[:5]}
    trainer = MemoryEncoderTrainer(model, args, data_collator=Spoiled(processor), **data)
    metrics = trainer.evaluate()
    with pytest.raises(ValueError) as error:
        trainer.train()
    return metrics | {"error": str(error.value)}


@pytest.mark.slow
def test_two_processes_share_an_evaluation_and_stop_together(make_trainable, tiny_processor, make_arguments, tmp_path):
    make_trainable().save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    picture(90).save(tmp_path / "0.png")
    file = str(tmp_path / "0.png")
    row = {"image": file, "question": "What is it?", "memories": [{"image": file, "text": "A fact."}]}
    rows = [{**row, "answer": answer} for answer in ("/", "a", "/", "b", "c", "spoiled")]
    settings = {"per_device_train_batch_size": 1, "per_device_eval_batch_size": 1, "eval_max_new_tokens": 1}
    settings |= {"gradient_accumulation_steps": 1, "train_sampling_strategy": "sequential", "use_cpu": True}
    settings |= {"disable_tqdm": True, "max_steps": 5, "save_steps": 1, "output_dir": str(tmp_path / "out")}
    first, second = run_together(evaluate_and_train, tmp_path / "model", rows, settings)
    alone = MemoryEncoderTrainer(
        make_trainable(),
        make_arguments(per_device_eval_batch_size=2, eval_max_new_tokens=1),
        data_collator=MemoryCollator(tiny_processor),
        eval_dataset=rows[:5],
    ).evaluate()
    assert 0 < first["eval_exact_match"] < 1
    assert first["eval_exact_match"] == second["eval_exact_match"] == alone["eval_exact_match"]
    assert first["error"] == second["error"]
    assert "The loss of update 3 is nan, so the run" in first["error"]
    assert "(the spoiled row)" in first["error"] and "out/checkpoint-2" in first["error"]
    assert not (tmp_path / "out" / "checkpoint-3").exists()
