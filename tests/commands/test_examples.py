"""The examples that `--help` shows run as they stand, and print one JSON document with `--json`."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from comem_hf.commands.application import application
from comem_hf.default import default_path
from tests.conftest import make_backbone, make_image
from tests.conversion.conftest import make_published  # noqa: F401 (a fixture)


COMMANDS = {command.name: command.callback for command in application.registered_commands}
# What the tiny models need beside an example: their sizes cannot be told from files, and two updates are enough.
NEEDED = {
    "convert": ["--resampler-heads", "4", "--resampler-head-dim", "16"],
    "train": ["--max-steps", "2", "--batch-size", "1", "--gradient-accumulation", "1"],
    "evaluate okvqa": ["--max-new-tokens", "3"],
    "synthesize": ["--max-new-tokens", "3"],
}
BENCHMARKS = Path(__file__).parents[1] / "golden" / "benchmarks" / "formats"
ELSEWHERE = {"app"}  # serves until it is stopped: tests/app


def examples(name: str) -> list[list[str]]:
    """The command lines under `Example:`, as words after `comem`."""
    lines = re.findall(r"^ +comem (.*)$", COMMANDS[name].__doc__.split("Example:")[1], re.MULTILINE)
    return [
        shlex.split(line) + next((more for start, more in NEEDED.items() if line.startswith(start)), [])
        for line in lines
    ]


@pytest.fixture
def workplace(tmp_path, monkeypatch, hub, comem, model_folder, bank_folder, items_file):
    """A folder with all that examples name, and a Hub on which `me` is its user."""
    hub.tokens["me's"] = "me"
    monkeypatch.setenv("HF_TOKEN", "me's")
    place = tmp_path / "work"
    shutil.copytree(items_file.parent, place)
    shutil.copytree(model_folder, place / "my-model")
    shutil.copytree(bank_folder, place / "my-bank")
    shutil.copytree(BENCHMARKS, place / "benchmarks")
    make_image(2).save(place / "flag.png")
    rows = [json.loads(line) for line in items_file.read_text().splitlines() if line]
    with (place / "questions.jsonl").open("w") as file:
        for row in rows:
            print(json.dumps({"item_id": row["id"], "question": "What is it?", "answer": row["text"]}), file=file)
    with (place / "train.jsonl").open("w") as file:
        for row in rows:
            memory = {"image": row["image"], "text": row["text"]}
            sample = {"image": row["image"], "question": "What is it?", "answer": row["text"], "memories": [memory]}
            print(json.dumps(sample), file=file)
    parts = {"model": place / "my-model", "bank": place / "my-bank", "questions.jsonl": place / "questions.jsonl"}
    monkeypatch.setattr("comem_hf.default.default_path", lambda part: parts.get(part) or default_path(part))
    monkeypatch.chdir(place)
    return place


def prepare(name: str, place: Path, comem, make_published, tiny_processor) -> None:  # noqa: F811
    if name == "pull":
        assert comem("push", "my-model", "me/my-model")[0] == 0
    if name in ("calibrate", "info", "search"):  # of which four items are too few
        rows = [{"image": f"{number}.png", "text": f"Fact {number}.", "source": "test"} for number in range(12)]
        for number, row in enumerate(rows):
            make_image(number).save(place / row["image"])
        (place / "dozen.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        shutil.rmtree(place / "my-bank")
        assert comem("build-bank", "dozen.jsonl", "my-bank", "--model", "my-model")[0] == 0
    if name == "build-bank":
        shutil.rmtree(place / "my-bank")
        names = sorted(path.name for path in (place / "pictures").iterdir())
        (place / "products.csv").write_text("id;image;title\n" + "".join(f"{n};{n};Lamp {n}\n" for n in names))
    if name == "convert":
        source, backbone = make_published("qwen2_5_vl")
        shutil.copytree(source, place / "CoMEM-Qwen2.5-VL-7B")
        shutil.copytree(backbone, place / "Qwen" / "Qwen2.5-VL-7B-Instruct")
    if name == "synthesize":  # a tiny model knows no answer
        rows = [json.loads(line) for line in (place / "questions.jsonl").read_text().splitlines()]
        rows = [{key: row[key] for key in ("item_id", "question")} for row in rows]
        (place / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if name == "train":
        settings = "model: my-model\ndata: train.jsonl\neval_data: train.jsonl\noutput_dir: from-a-file\n"
        (place / "run.yaml").write_text(settings)
        folder = place / "Qwen" / "Qwen2-VL-2B-Instruct"
        make_backbone().save_pretrained(folder)
        tiny_processor.image_processor.save_pretrained(folder)
        tiny_processor.tokenizer.save_pretrained(folder)
        (folder / "chat_template.jinja").write_text(tiny_processor.chat_template)


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - ELSEWHERE))
def test_every_example_runs_and_has_a_json_form(name, comem, workplace, make_published, tiny_processor):  # noqa: F811
    assert examples(name)
    for number, words in enumerate(examples(name)):
        if number == 0:
            prepare(name, workplace, comem, make_published, tiny_processor)
        code, output, error = comem(*words, "--json")
        assert code == 0, error
        json.loads(output)
        if name == "search":
            assert output == "[]\n" or json.loads(output)[0]["rank"] == 1
