"""`lmms-eval` in a process of its own, as a user runs it: offline, with our model, bank and tasks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


pytest.importorskip("lmms_eval", reason="lmms-eval is not installed: make test-lmms")

from comem_hf import MemoryBank
from comem_hf.default import default_path
from comem_hf.evaluation import evaluate, load_questions
from comem_hf.lmms import TASKS
from comem_hf.lmms.model import CoMem


SAMPLES = 10
ROW = re.compile(r"\|comem_countries\|none\s*\|\s*0\|exact_match\|↑\s*\|\s*([\d.]+)\|")


@pytest.fixture(scope="module")
def expected():
    model = CoMem(device="cpu")
    questions = load_questions(default_path("questions.jsonl"))[:SAMPLES]
    (score,) = evaluate(model.model, model.processor, model.bank, questions, batch_size=4, ways=["memory, top-k"])
    return score


def run(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> tuple[float, list[str], str]:
    """The value in the table, the answers in the order of the questions, and all that was printed."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "PYTEST_CURRENT_TEST")},
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    common = ("--tasks", "comem_countries", "--include_path", str(TASKS), "--limit", str(SAMPLES), "--log_samples")
    command = [sys.executable, *launcher, "-m", "lmms_eval", "--model", "comem", *common, *arguments]
    done = subprocess.run(
        [*command, "--output_path", str(folder / "out")], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (value,) = ROW.findall(done.stdout) or pytest.fail(done.stdout + done.stderr)
    (file,) = folder.glob("out/**/*_samples_comem_countries.jsonl")
    rows = sorted(map(json.loads, file.read_text(encoding="utf-8").splitlines()), key=lambda row: row["doc_id"])
    file.unlink()
    return float(value), [row["filtered_resps"] for row in rows], done.stdout + done.stderr


def test_the_table_and_the_answers_are_those_of_comem_evaluate(expected, tmp_path):
    bank = MemoryBank.from_pretrained(default_path("bank")).save_pretrained(tmp_path / "bank") or tmp_path / "bank"
    names = f"pretrained={default_path('model')},bank={bank},picture_first=True,way=memory,top_k=3"
    arguments = ("--model_args", names, "--batch_size", "4", "--device", "cpu", "--use_cache", str(tmp_path / "cache"))
    value, answers, _ = run(tmp_path, *arguments)
    assert answers == list(expected.answers) and value == pytest.approx(expected.exact_match)
    value, again, printed = run(tmp_path, *arguments)
    assert f"all {SAMPLES} requests served from cache" in printed
    assert again == answers and value == pytest.approx(expected.exact_match)


def test_processes_share_the_questions(expected, tmp_path):
    launcher = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1")
    value, answers, _ = run(tmp_path, "--batch_size", "2", launcher=launcher)
    assert answers == list(expected.answers) and value == pytest.approx(expected.exact_match)
