"""`comem train` from beginning to end: a backbone on the Hub, evaluation, files beside the result, pushes."""

import importlib
import json

import pytest
import yaml
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.training.run_folder import RunFolder
from tests.conftest import make_backbone, make_image


pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path, monkeypatch, tiny_processor):
    """A folder with a backbone, four rows and a file of settings."""
    (tmp_path / "data").mkdir()
    lines = []
    for number in range(4):
        make_image(number).save(tmp_path / "data" / f"{number}.png")
        row = {"image": f"{number}.png", "question": "What?", "answer": str(number)}
        lines.append(json.dumps({**row, "memories": [{"text": f"It is {number}."}]}))
    (tmp_path / "data" / "rows.jsonl").write_text("\n".join(lines))
    make_backbone().save_pretrained(tmp_path / "backbone")
    tiny_processor.image_processor.save_pretrained(tmp_path / "backbone")
    tiny_processor.tokenizer.save_pretrained(tmp_path / "backbone")
    (tmp_path / "backbone" / "chat_template.jinja").write_text(tiny_processor.chat_template)
    settings = {"model": "backbone", "data": "data/rows.jsonl", "output_dir": "out", "lora_rank": 2, "max_steps": 2}
    settings |= {"batch_size": 2, "gradient_accumulation": 1, "logging_steps": 1, "learning_rate": "1e-2"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


# What transformers' integration takes in place of TensorBoard: a writer that keeps the names of what it gets.
WRITER = """
class SummaryWriter:
    scalars = {}
    def __init__(self, log_dir): pass
    def add_text(self, *words): pass
    def add_scalar(self, name, value, step): self.scalars.setdefault(name, []).append(step)
    def flush(self): pass
    def close(self): pass
"""


def config_of(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


def test_a_run_from_a_file_is_evaluated_and_repeated_from_what_it_has_written(comem, place, monkeypatch):
    (place / "elsewhere").mkdir()
    (place / "tensorboardX.py").write_text(WRITER)
    monkeypatch.syspath_prepend(place)
    monkeypatch.chdir(place / "elsewhere")
    words = ["--eval-data", place / "data" / "rows.jsonl", "--eval-steps", 1, "--eval-strategy", "steps"]
    words += ["--eval-max-new-tokens", 2, "--hub-token", "hf_", "--report-to", "tensorboard"]
    code, output, error = comem("train", place / "run.yaml", *words)
    assert code == 0, error
    out = place / "out"
    assert output.startswith("4 samples; trainable parameters: ")
    assert f"Saved the trained model to {out}: `AutoModelForImageTextToText.from_pretrained('{out}')`" in output
    assert "Trained for 2 steps: mean loss " in output and ", last exact match " in output
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    assert [row["step"] for row in log if "eval_loss" in row and 0 <= row["eval_exact_match"] <= 1] == [1, 2]
    assert Image.open(out / "loss.png").format == "PNG"
    scalars = importlib.import_module("tensorboardX").SummaryWriter.scalars
    assert scalars["train/loss"] == scalars["eval/loss"] == scalars["eval/exact_match"] == [1, 2]
    written = yaml.safe_load((out / "training_config.yaml").read_text())
    assert (written["model"], written["data"], written["output_dir"]) == ("../backbone", "../data/rows.jsonl", ".")
    assert "hub_token" not in written and written["eval_steps"] == 1.0

    code, output, error = comem("train", out / "training_config.yaml")
    assert code == 2 and error.endswith("holds a finished training run; choose a new one.\n")
    again = ["--output-dir", "again", "--report-to", "none", "--json"]
    code, output, error = comem("train", out / "training_config.yaml", *again)
    assert code == 0, error
    assert json.loads(output)["updates"] == 2
    first, again = (CoMemForConditionalGeneration.from_pretrained(folder) for folder in (out, "again"))
    assert first.memory_fingerprint() == again.memory_fingerprint()
    assert written == yaml.safe_load((place / "elsewhere" / "again" / "training_config.yaml").read_text()) | {
        name: written[name] for name in ("model", "data", "eval_data", "report_to")
    }

    RunFolder("again", json.loads((out / "training_settings.json").read_text())["settings"])._write(finished=False)
    code, output, error = comem("train", "again/training_config.yaml", "--learning-rate", "1e-3")
    assert code == 2 and "other settings (learning_rate was 0.01 and is 0.001); go on with the same" in error


def test_memory_of_a_backbone_on_the_hub_is_saved_alone_and_every_push_can_be_loaded(comem, place, hub):
    AutoModelForImageTextToText.from_pretrained(place / "backbone").push_to_hub("ann/backbone")
    CoMemProcessor.from_pretrained(place / "backbone").push_to_hub("ann/backbone")
    words = ["--model", "ann/backbone", "--save-steps", 1, "--push-to-hub", "--hub-model-id", "ann/trained"]
    before = len(hub.committed)
    code, output, error = comem("train", place / "run.yaml", *words, "--hub-strategy", "checkpoint")
    assert code == 0, error
    assert "without its backbone, ann/backbone on the Hub: `AutoModelForImageTextToText.from_pretrained(" in output
    assert config_of(place / "out")["memory_only"] and config_of(place / "out")["backbone_revision"]
    trained = AutoModelForImageTextToText.from_pretrained(place / "out")
    repository = hub.repositories["model", "ann/trained"]
    pushed = [added for added, _ in hub.committed[before:]]
    assert sum("config.json" in added for added in pushed) == 2  # the result is as the last save
    assert sum("last-checkpoint/optimizer.pt" in added for added in pushed) == 2
    assert "training_settings.json" in repository.files("main") and "README.md" in repository.files("main")
    last = AutoModelForImageTextToText.from_pretrained("ann/trained", trust_remote_code=True)
    assert last.memory_fingerprint() == trained.memory_fingerprint()
    assert AutoProcessor.from_pretrained("ann/trained", trust_remote_code=True).chat_template
    first = next(revision for revision in repository.commits if "config.json" in repository.files(revision))
    early = AutoModelForImageTextToText.from_pretrained("ann/trained", revision=first, trust_remote_code=True)
    assert early.memory_fingerprint() != trained.memory_fingerprint()

    code, output, error = comem(
        "train", place / "run.yaml", "--model", "ann/backbone", "--output-dir", place / "full", "--save-backbone"
    )
    assert code == 0 and not config_of(place / "full")["memory_only"]
