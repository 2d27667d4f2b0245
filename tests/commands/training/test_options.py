"""Settings of `comem train` from a file, the command line, or both."""

import json
import re
from dataclasses import fields

import pytest
from transformers import TrainingArguments

from comem_hf.commands.training.listing import list_settings
from comem_hf.commands.training.options import ALIASES, GROUPS, as_option, read_settings
from comem_hf.commands.training.run import Run
from comem_hf.commands.training.train import train
from comem_hf.training.arguments import ACTIVATION_CHECKPOINTING


FILE = """\
model: backbone
data: rows/train.jsonl
output-dir: out
epochs: 3
learning_rate: 1e-4
eval_strategy: no
save_total_limit: null
lora_rank: 8
ffn_memory: {num_slots: 24}
lr_scheduler_kwargs: {num_cycles: 2}
only: [memory-encoder, ffn-memory]
bf16: true
shuffle: false
report_to: [tensorboard, wandb]
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "run.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_file_is_read_with_paths_from_its_folder_and_options_win(write, tmp_path):
    (tmp_path / "backbone").mkdir()
    expected = {
        "model": str(tmp_path / "backbone"),
        "data": str(tmp_path / "rows" / "train.jsonl"),
        "output_dir": str(tmp_path / "out"),
        "num_train_epochs": 3.0,
        "learning_rate": 1e-4,  # which YAML reads as a text
        "eval_strategy": "no",  # which it reads as false
        "save_total_limit": None,
        "lora_rank": 8,
        "ffn_memory": {"num_slots": 24},
        "lr_scheduler_kwargs": {"num_cycles": 2},
        "only": ["memory-encoder", "ffn-memory"],
        "bf16": True,
        "shuffle": False,
        "report_to": ["tensorboard", "wandb"],
    }
    assert read_settings([write(FILE)]) == expected
    words = (
        "--epochs 1 --only reader --only=vision-memory --bf16 false --output-dir other --adam_beta2=0.9 --max-steps -1"
    )
    won = {"num_train_epochs": 1.0, "only": ["reader", "vision-memory"], "bf16": False, "output_dir": "other"}
    won |= {"adam_beta2": 0.9, "max_steps": -1}
    assert read_settings([write(FILE), *words.split()]) == {**expected, **won}
    assert read_settings(["--gradient-checkpointing", "--no-shuffle"]) == {
        ACTIVATION_CHECKPOINTING: True,
        "shuffle": False,
    }
    for words in (
        "--nested-memory-lengths [1,2,4]",
        "--nested-memory-lengths=[1,2,4]",
        "--nested-memory-lengths 1 2 4",
    ):
        assert read_settings(words.split()) == {"nested_memory_lengths": [1, 2, 4]}
    assert read_settings(["--only", '["reader", "resampler"]', "--bf16"])["only"] == ["reader", "resampler"]
    as_json = write(json.dumps({"model": "me/backbone", "data": "me/rows"}, indent="\t"), "run.json")
    assert read_settings([as_json]) == {"model": "me/backbone", "data": "me/rows"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1", "run.yaml: there is no setting 'learning_rat'; did you mean learning_rate?"),
        ("epoch: 1", "run.yaml: there is no setting 'epoch'; did you mean epochs?"),
        ("zzz: 1", "run.yaml: there is no setting 'zzz'; `comem train --help-all` lists all."),
        ("learning_rate: fast", "run.yaml: learning_rate`: invalid float value: 'fast'."),
        ("eval_strategy: often", "run.yaml: eval_strategy`: invalid choice: 'often' (choose from "),
        (
            "epochs: 1\nnum-train-epochs: 2",
            "`num_train_epochs` is given twice, as 'epochs' and as 'num-train-epochs': ",
        ),
        ("- model", "run.yaml must hold settings, `name: value` on each line, got list."),
        ("seed: 1\na: [", "run.yaml', line 2 cannot be read: expected the node content, but found '<stream end>'."),
        ("training: a", "run.yaml: there is no setting 'training'; `comem train --help-all` lists all."),
        (None, "There is no settings file "),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_a_sentence(text, message, write, tmp_path):
    path = str(tmp_path / "run.yaml") if text is None else write(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_settings([path])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--lernign-rate 1", "There is no option --lernign-rate; did you mean --learning-rate?"),
        ("--nested-memory-lengths [1,2", "`--nested-memory-lengths` must be words, or a list in JSON, got '[1,2': "),
        ("--model a --data b --output-dir c --streaming", "`--streaming` needs `--max-steps`"),
        ("--model a --data b --output-dir c --metric-for-best-model exact", "did you mean 'exact_match'?"),
        ("--zzz", "There is no option --zzz; `comem train --help-all` lists all."),
        ("--epochs many", "`--num-train-epochs`: invalid float value: 'many'."),
        ("--model", "`--model`: expected one argument."),
        ("--epochs 1 run.yaml", "'run.yaml' belongs to no option; a settings file comes first: "),
        ("--data a --output-dir b", "`--model` is missing: name a backbone or a model, here or in a settings file."),
        ("--model a --output-dir b", "`--data` is missing: name training rows"),
        ("--model a --data b", "`--output-dir` is missing: name a folder"),
        ("--model a --data b --output-dir c --eval-strategy steps", "is 'steps', but there is no `--eval-data`."),
        ("--model a --data b --output-dir c --resume-from-checkpoint d", "the same command goes on with an"),
        ("--model a --data b --output-dir c --early-stopping-patience 2", "`early_stopping_patience` needs evaluatio"),
        ("--model a --data b --output-dir c --save-backbone --memory-only", "are opposites: leave one out."),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said_in_a_sentence(words, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train(words.split())


def test_defaults_follow_from_what_is_given(tmp_path):
    given = {"model": "a", "data": "b", "output_dir": str(tmp_path), "eval_data": "c", "max_steps": 1}
    run = Run.from_settings({**given, "per_device_train_batch_size": 3, "shuffle": False})
    assert (run.args.eval_strategy, run.args.per_device_eval_batch_size) == ("epoch", 3)
    assert run.args.train_sampling_strategy == "sequential" and not run.data.shuffle
    assert Run.from_settings({**given, "eval_strategy": "no"}).args.eval_strategy == "no"
    assert run.recorded["weight_decay"] == 0.1 and run.recorded["seed"] == 42 and "use_cpu" not in run.recorded
    again = Run.from_settings({**run.recorded, "output_dir": str(tmp_path)})
    assert again.args.to_dict() == run.args.to_dict() and again.recorded == run.recorded


def test_all_settings_are_listed_with_what_they_are_for_ours_first(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    listed = list_settings()
    assert max(map(len, listed.splitlines())) <= 80 and not re.search(r"--[\w-]+-$", listed, re.MULTILINE)
    names = re.findall(r"^  --([\w-]+)", listed, re.MULTILINE)
    theirs = {field.name.replace("_", "-") for field in fields(TrainingArguments)}
    first = min(number for number, name in enumerate(names) if name in theirs)
    assert first > 30 and theirs.issuperset(names[first:])
    ours = [field for group in GROUPS for field in fields(group) if field.name not in ALIASES]
    entries = dict(re.findall(r"^  (--[\w-]+).*\n((?: {6}.*\n?)*)", listed, re.MULTILINE))
    assert entries.keys() == {as_option(field.name) for field in ours if ALIASES.get(field.name) != field.name}
    assert [name for name, text in entries.items() if not text.strip()] == []
    named = {word.partition(" ")[0] for word in re.findall(r"`--([\w -]+?)(?: [\d.e-]+)?`", train.__doc__)}
    known = {as_option(name)[2:] for name in [field.name for field in ours] + [*ALIASES]}
    assert named and {name.removeprefix("no-") for name in named} <= known
