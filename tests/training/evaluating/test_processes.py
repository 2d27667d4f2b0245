"""Two processes share an evaluation, and both stop at a loss that is no number."""

import json

import pytest

from comem_hf.training import MemoryCollator, MemoryEncoderTrainer
from tests.training.conftest import picture, run_in_two_processes


# Run in each process, in a folder of the model and its rows.
SCRIPT = """
import json
import torch
from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training import MemoryCollator, MemoryEncoderTrainer, MemoryTrainingArguments

class Spoiled(MemoryCollator):
    def __call__(self, rows):
        batch = super().__call__(rows)
        if any(row["answer"] == "spoiled" for row in rows):
            batch["pixel_values"] = batch["pixel_values"] * torch.inf
            batch["names"] = ["the spoiled row"]
        return batch

model, processor = CoMemForConditionalGeneration.from_pretrained("model"), CoMemProcessor.from_pretrained("model")
rows = json.load(open("rows.json"))
args = MemoryTrainingArguments(**json.load(open("settings.json")), output_dir="out")
collator = Spoiled(processor)
trainer = MemoryEncoderTrainer(model, args, data_collator=collator, train_dataset=rows, eval_dataset=rows[:5])
metrics = trainer.evaluate()
try:
    trainer.train()
except ValueError as error:
    metrics["error"] = str(error)
json.dump(metrics, open(f"{args.process_index}.json", "w"))
torch.distributed.destroy_process_group()
"""


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
    settings |= {"disable_tqdm": True, "max_steps": 5, "save_steps": 1}
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    run_in_two_processes(SCRIPT, tmp_path)
    first, second = (json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2))
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
